package recipe

import (
	"encoding/json"
	"strconv"
	"strings"

	"qlora/cmd/internal/options"
	"qlora/trainer/reward"
)

// rewards is the rule of the names of reward functions: TRL's own, and functions of Python modules,
// which are refused.
func rewards(_ *reader, e options.Entry) options.Step {
	var names, none []string
	if json.Unmarshal([]byte(e.JSON), &names) != nil {
		names = strings.Split(e.Text, ",")
	}
	for _, name := range names {
		if why := reward.Foreign(name); why != "" {
			none = append(none, name+": "+why)
		}
	}
	if len(none) > 0 {
		return refuse(strings.Join(none, "; "))
	}
	return pass()
}

// axolotlTRL is the rule of trl, a mapping of settings of TRL's trainer.
func axolotlTRL(r *reader, e options.Entry) options.Step {
	if off(e.Text) {
		return options.Step{}
	}
	if !r.samples() {
		return note("only rl: grpo reads it")
	}
	all, ok := members([]byte(e.JSON))
	if !ok {
		return refuse("not a mapping of settings")
	}
	var step options.Step
	for _, m := range all {
		text := m.text()
		switch {
		case string(m.value) == "null" || m.name == "use_vllm" || strings.HasPrefix(m.name, "vllm_"):
		case m.name == "reward_funcs":
			if s := rewards(r, options.Entry{Text: text, JSON: string(m.value)}); s.Refuse != "" {
				step.Refuse = s.Refuse
			} else {
				step.Sets = append(step.Sets, options.Given{Name: m.name, Text: text})
			}
		default:
			step.Sets = append(step.Sets, options.Given{Name: m.name, Text: text})
		}
	}
	return step
}

// samples reports whether a file of Axolotl is of grpo.
func (r *reader) samples() bool { return r.text("rl") == "grpo" || r.text("rl") == "gdpo" }

// axolotlLength is the rule of sequence_len, which with grpo limits prompts alone.
func axolotlLength(r *reader, e options.Entry) options.Step {
	if !r.samples() {
		return pass()
	}
	return remarked(give("max_length="+decimal(r.number(e.Name, 0)+r.completion())), "of prompt and completion together")
}

// completion returns the tokens of a completion.
func (r *reader) completion() float64 {
	if all, ok := members([]byte(r.byName["trl"].JSON)); ok {
		for _, m := range all {
			if n, err := strconv.ParseFloat(m.text(), 64); m.name == "max_completion_length" && err == nil {
				return n
			}
		}
	}
	return 512
}
