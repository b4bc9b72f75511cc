package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"qlora/internal/chattemplate"
)

// alpacaPrompt returns Stanford Alpaca's prompt, word for word
// (github.com/tatsu-lab/stanford_alpaca, train.py). The output follows it directly.
func alpacaPrompt(instruction, input string) string {
	if input == "" {
		return "Below is an instruction that describes a task. " +
			"Write a response that appropriately completes the request.\n\n" +
			"### Instruction:\n" + instruction + "\n\n### Response:"
	}
	return "Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request.\n\n" +
		"### Instruction:\n" + instruction + "\n\n### Input:\n" + input + "\n\n### Response:"
}

// withHistory returns an Alpaca prompt with a system text and earlier turns, each an
// instruction and its response, as LLaMA-Factory's alpaca template writes them: the
// system text takes the place of the first sentences, and ends closes a response.
func withHistory(system string, history [][2]string, ends, instruction, input string) string {
	prompt := alpacaPrompt(instruction, input)
	at := strings.Index(prompt, "### Instruction:")
	first, rest := prompt[:at], prompt[at:]
	if system != "" {
		first = system + "\n\n"
	}
	var earlier strings.Builder
	for _, turn := range history {
		earlier.WriteString("### Instruction:\n" + turn[0] + "\n\n### Response:" + turn[1] + ends + "\n\n")
	}
	return first + earlier.String() + rest
}

// An alpaca record has an instruction, an output and usually an input; it may have a
// system text and earlier turns. In a chat the input is on the line after the
// instruction. Dolly's records are the same under other names.
var (
	alpaca = alpacaFormat("input", "output", false)
	dolly  = alpacaFormat("context", "response", true)
)

func alpacaFormat(input, output string, choice bool) format {
	return format{
		name:   "alpaca",
		fields: []string{"instruction", output},
		choice: choice,
		example: func(w *worker, r record) (Example, error) {
			instruction, err := r.text("instruction")
			if err != nil {
				return Example{}, err
			}
			answer, err := r.text(output)
			if err != nil {
				return Example{}, err
			}
			further := ""
			if r.has(input) {
				if further, err = r.text(input); err != nil {
					return Example{}, err
				}
			}
			if w.opt.ApplyChat {
				if further != "" {
					instruction += "\n" + further
				}
				return w.asked(r, instruction, answer)
			}
			system, err := r.system()
			if err != nil {
				return Example{}, err
			}
			history, err := r.history()
			if err != nil {
				return Example{}, err
			}
			ends := ""
			if w.vocabulary != nil {
				ends = w.vocabulary.eosText
			}
			w.count(answer)
			return w.pair(withHistory(system, history, ends, instruction, further), answer)
		},
	}
}

// history returns the earlier turns of a record in LLaMA-Factory's form: pairs of what
// the user and the assistant said. nil: none.
func (r *record) history() ([][2]string, error) {
	r.use("history")
	list, err := r.list("history")
	if list == nil || err != nil {
		return nil, err
	}
	var turns [][2]string
	for i, item := range list.Items() {
		pair, ok := item.(*chattemplate.List)
		if ok && len(pair.Items()) == 2 {
			asked, isText := pair.Items()[0].(string)
			answer, too := pair.Items()[1].(string)
			if isText && too {
				turns = append(turns, [2]string{asked, answer})
				continue
			}
		}
		return nil, fmt.Errorf("turn %d of \"history\" is not a pair of texts, [user, assistant]", i+1)
	}
	return turns, nil
}

// instances are records that hold inputs and outputs as a list, as in Self-Instruct
// (Wang et al. 2023, https://github.com/yizhongw/self-instruct): each becomes one
// example.
var instances = format{
	name:    "alpaca",
	fields:  []string{"instruction", "instances"},
	choice:  true,
	split:   splitInstances,
	example: alpaca.example,
}

// splitInstances returns one record per instance: its fields and the shared ones.
func splitInstances(r record) ([]record, error) {
	r.use("instances")
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(r.fields["instances"], &list); err != nil {
		return nil, fmt.Errorf("\"instances\" is %s, not a list of objects with an input and an output", shown(r.fields["instances"]))
	}
	var all []record
	for _, own := range list {
		one := record{line: r.line, fields: maps.Clone(r.fields), usage: r.usage}
		maps.Copy(one.fields, own)
		all = append(all, one)
	}
	return all, nil
}
