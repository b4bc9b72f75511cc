package trainer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// settings returns, by option and as text, the settings that may change when a run is
// resumed, though its result then differs.
func (t *Trainer) settings() map[string]string {
	a := &t.Args
	s := map[string]string{
		"learning_rate": fmt.Sprint(a.LearningRate), "lr_scheduler_type": a.Schedule, "lr_scheduler_kwargs": a.ScheduleArgs.String(), "warmup_steps": fmt.Sprint(a.warmup(t.length.Steps)),
		"max_steps": fmt.Sprint(t.length.Steps), "weight_decay": fmt.Sprint(a.WeightDecay), "max_grad_norm": fmt.Sprint(a.MaxGradNorm),
		"neftune_noise_alpha": fmt.Sprint(a.NoiseAlpha), "label_smoothing_factor": fmt.Sprint(a.LabelSmoothing),
		"adam_beta1": fmt.Sprint(a.AdamBeta1), "adam_beta2": fmt.Sprint(a.AdamBeta2), "adam_epsilon": fmt.Sprint(a.AdamEpsilon),
		"average_tokens_across_devices": fmt.Sprint(a.AverageTokens),
		"optim_args":                    a.OptimArgs, "loraplus_lr_ratio": fmt.Sprint(a.LoraPlusRatio),
	}
	if a.objective().losses != nil {
		for _, e := range append(a.PreferenceArgs.effects(), a.GRPOArgs.effects()...) {
			if e.acts(&a.PreferenceArgs) && !slices.Contains(withoutResult, e.name) {
				s[e.name] = fmt.Sprint(e.value)
			}
		}
		s["loss_type"] = strings.Join(a.losses(), ",")
	}
	if c := t.Base.Lora; c != nil {
		s["lora_alpha"], s["lora_dropout"], s["use_rslora"] = fmt.Sprint(c.Alpha), fmt.Sprint(c.Dropout), fmt.Sprint(c.RSLoRA)
		s["alpha_pattern"] = fmt.Sprint(c.AlphaPattern)
	}
	return s
}

// withoutResult are settings of objectives on which the result does not depend.
var withoutResult = []string{"precompute_ref_log_probs", "reward_timeout", "log_completions", "num_completions_to_print"}

// noteChanges notes each setting that differs from the checkpoint's.
func (t *Trainer) noteChanges(made map[string]string) {
	here := t.settings()
	for _, name := range slices.Sorted(maps.Keys(here)) {
		if before, ok := made[name]; ok && before != here[name] {
			t.Note(fmt.Sprintf("`%s` is now %s; the checkpoint has %s", name, here[name], before))
		}
	}
}
