package report

import (
	"fmt"
	"strings"

	"qlora/lora"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// A Setting is one line of the summary of a run.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Summary returns the main settings of a run: what is trained, on what and how.
func Summary(b *trainer.Begin) []Setting {
	a, l := b.Args, &b.Length
	var all []Setting
	add := func(name, format string, args ...any) {
		all = append(all, Setting{name, fmt.Sprintf(format, args...)})
	}
	add("method", "%s", b.Base.Method())
	if a.Compares() || a.Samples() {
		add("objective", "%s", a.Objective)
		if losses := strings.Join(a.Losses(), ", "); losses != a.Objective {
			add("loss_type", "%s", losses)
		}
		if len(a.LossWeights) > 0 {
			add("loss_weights", "%s", strings.Join(a.LossWeights, ", "))
		}
		add("beta", "%v", a.Beta)
	}
	if a.Samples() {
		add("rewards", "%s", strings.Join(a.RewardFuncs, ", "))
		if len(a.RewardWeights) > 0 {
			add("reward_weights", "%s", strings.Join(a.RewardWeights, ", "))
		}
		add("completions", "%d of a prompt, up to %d tokens, temperature %v", a.NumGenerations, a.MaxCompletionLength, a.Temperature)
	}
	if q := b.Base.Quantize; q != nil {
		add("base", "4-bit %v, blocks of %d, double quantization %t", q.Kind, q.BlockSize, q.Double)
	}
	if b.Compute != "" {
		add("computed in", "%s", b.Compute)
	}
	if c := b.Base.Lora; c != nil {
		add("rank, alpha, dropout", "%d, %v, %v", c.R, c.Alpha, c.Dropout)
		if c.Init != lora.InitDefault {
			add("init_lora_weights", "%s", c.Init)
		}
		for _, p := range []struct {
			name    string
			pattern lora.Pattern
		}{{"rank pattern", c.RankPattern}, {"alpha pattern", c.AlphaPattern}} {
			if len(p.pattern) > 0 {
				add(p.name, "%v", p.pattern)
			}
		}
		if c.DoRA {
			add("adapters", "DoRA: weight-decomposed")
		}
		if c.LoraBias {
			add("adapters", "with a bias (lora_bias)")
		}
		if len(c.ModulesToSave) > 0 {
			add("fully trained modules", "%s", strings.Join(c.ModulesToSave, ", "))
		}
		add("target modules", "%s", targetNames(c.Targets.Pattern, c.Targets.Names))
		if c.Exclude.Pattern != "" || len(c.Exclude.Names) > 0 {
			add("excluded modules", "%s", targetNames(c.Exclude.Pattern, c.Exclude.Names))
		}
		if len(c.Layers) > 0 {
			add("layers", "%v", []int(c.Layers))
		}
	}
	add("trained", "%s", parameters(b.Trainable))
	add("learning rate", "%v, %s", a.LearningRate, a.Schedule)
	if len(a.ScheduleArgs) > 0 {
		add("schedule", "%v", a.ScheduleArgs)
	}
	if n := trainer.NewSchedule(a, l.Steps).Warmup; n > 0 {
		add("warm-up", "%d steps", n)
	}
	add("optimizer", "%s", strings.TrimSpace(a.Optimizer+" "+a.OptimArgs))
	if a.LoraPlusRatio != 0 {
		add("LoRA+", "B learns %v times as fast as A", a.LoraPlusRatio)
	}
	if a.WeightDecay != 0 {
		add("weight decay", "%v", a.WeightDecay)
	}
	if a.NoiseAlpha > 0 {
		add("NEFTune alpha", "%v", a.NoiseAlpha)
	}
	if a.LabelSmoothing > 0 {
		add("label smoothing", "%v", a.LabelSmoothing)
	}
	of := "sequences"
	if compare, _ := a.Compare(); compare == dataset.ComparePairs {
		of = "pairs"
	}
	batch := fmt.Sprintf("%d %s", a.BatchSize, of)
	if n := a.Accumulation * a.World(); n > 1 {
		batch += fmt.Sprintf(", %d micro-batches per step", n)
	}
	add("batch", "%s", batch)
	if b.Ranks > 1 || a.World() > 1 {
		add("ranks", "%d, of a world of %d", b.Ranks, a.World())
	}
	add("records", "%d", l.Records)
	if a.EvalStrategy != trainer.StrategyNo {
		add("evaluated", "%d records", b.EvalRecords)
	}
	add("steps", "%d, %d per epoch", l.Steps, l.StepsInEpoch)
	add("seed", "%d", a.Seed)
	return all
}

// settingsTable returns a summary as a Markdown table.
func settingsTable(settings []Setting) string {
	var b strings.Builder
	b.WriteString("| setting | value |\n|---|---|\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "| %s | %s |\n", s.Name, strings.ReplaceAll(s.Value, "|", "\\|"))
	}
	return b.String()
}

func targetNames(pattern string, names []string) string {
	switch {
	case pattern != "":
		return pattern
	case len(names) == 0:
		return "the architecture's default"
	}
	return strings.Join(names, ", ")
}
