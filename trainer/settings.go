package trainer

import (
	"fmt"
	"maps"
	"slices"
)

// settings are those that may change when a run is resumed, though it then does
// not end as it would have: by option, as text.
func (t *Trainer) settings() map[string]string {
	a := &t.Args
	s := map[string]string{
		"learning_rate": fmt.Sprint(a.LearningRate), "lr_scheduler_type": a.Schedule, "warmup_steps": fmt.Sprint(a.warmup(t.length.Steps)),
		"max_steps": fmt.Sprint(t.length.Steps), "weight_decay": fmt.Sprint(a.WeightDecay), "max_grad_norm": fmt.Sprint(a.MaxGradNorm),
		"neftune_noise_alpha": fmt.Sprint(a.NoiseAlpha),
		"adam_beta1":          fmt.Sprint(a.AdamBeta1), "adam_beta2": fmt.Sprint(a.AdamBeta2), "adam_epsilon": fmt.Sprint(a.AdamEpsilon),
		"optim_args": a.OptimArgs, "loraplus_lr_ratio": fmt.Sprint(a.LoraPlusRatio),
	}
	if c := t.Base.Lora; c != nil {
		s["lora_alpha"], s["lora_dropout"], s["use_rslora"] = fmt.Sprint(c.Alpha), fmt.Sprint(c.Dropout), fmt.Sprint(c.RSLoRA)
		s["alpha_pattern"] = fmt.Sprint(c.AlphaPattern)
	}
	return s
}

// noteChanges says in a line each which settings are other ones than those that a
// checkpoint was made with.
func (t *Trainer) noteChanges(made map[string]string) {
	here := t.settings()
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if before, ok := made[name]; ok && before != here[name] {
			t.Note(fmt.Sprintf("going on with `%s` %s, which was %s", name, here[name], before))
		}
	}
}
