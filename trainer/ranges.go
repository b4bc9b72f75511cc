package trainer

import (
	"maps"

	"qlora/option"
)

// Ranges returns the intervals of the numeric settings. The upper ends are far above any
// use: what is larger is a slip, and would be allocated or counted to.
func (a *Args) Ranges() option.Ranges {
	steps, rate := option.From(0, 1e9), option.From(0, 1e3)
	ranges := option.Ranges{
		"num_train_epochs":            option.From(0, 1e6),
		"max_steps":                   option.From(-1, 1e9),
		"per_device_train_batch_size": option.From(1, 1<<20),
		"per_device_eval_batch_size":  option.From(1, 1<<20),
		"gradient_accumulation_steps": option.From(1, 1<<20),
		"learning_rate":               rate,
		"warmup_steps":                steps,
		"warmup_ratio":                option.From(0, 1),
		"weight_decay":                rate,
		"label_smoothing_factor":      option.Share(),
		"early_stopping_patience":     option.From(0, 1e9),
		"early_stopping_threshold":    option.From(0, 1e9),
		"adam_beta1":                  option.Share(),
		"adam_beta2":                  option.Share(),
		"adam_epsilon":                option.From(0, 1),
		"max_grad_norm":               steps,
		"loraplus_lr_ratio":           option.From(0, 1e6),
		"loraplus_lr_embedding":       rate,
		"neftune_noise_alpha":         option.From(0, 1e6),
		"logging_steps":               option.Above(0, 1e9),
		"save_steps":                  option.Above(0, 1e9),
		"save_total_limit":            option.From(0, 1e6),
		"eval_steps":                  steps,
		"eval_delay":                  steps,
	}
	maps.Copy(ranges, a.PreferenceArgs.Ranges())
	maps.Copy(ranges, a.GRPOArgs.Ranges())
	maps.Copy(ranges, a.RankArgs.Ranges())
	return ranges
}

// Ranges returns the intervals of the numeric settings.
func (*PreferenceArgs) Ranges() option.Ranges {
	weight := option.From(0, 1e6)
	return option.Ranges{
		"beta":               option.From(0, 1e6),
		"label_smoothing":    option.Share(),
		"discopop_tau":       option.Above(0, 1e6),
		"ld_alpha":           option.From(0, 1),
		"cpo_alpha":          weight,
		"simpo_gamma":        weight,
		"alpha":              option.From(-1e3, 1e3),
		"desirable_weight":   weight,
		"undesirable_weight": weight,
	}
}
