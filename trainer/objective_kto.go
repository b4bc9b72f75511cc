package trainer

import "qlora/bindings"

// objectiveKTO is Kahneman-Tversky optimisation: completions that are desirable or not, each
// against the mean of the log-ratios of completions of other prompts.
var objectiveKTO = objective{
	name: "kto", reference: true, judged: true,
	losses: []string{"kto", "apo_zero_unpaired"},
	terms: func(a *PreferenceArgs) comparer {
		c := comparer{judged: true}
		c.rule.DesirableWeight, c.rule.UndesirableWeight = float32(a.DesirableWeight), float32(a.UndesirableWeight)
		loss := bindings.LossAPOZeroUnpaired
		if a.losses()[0] == "kto" {
			loss, c.others = bindings.LossKTO, true
		}
		c.rule.Terms = []bindings.PreferenceTerm{{Loss: loss, Weight: 1}}
		return c
	},
	check: func(a *Args, refuse func(name string, value any, format string, args ...any)) {
		if a.losses()[0] != "kto" {
			return
		}
		if a.BatchSize < 2 {
			refuse("per_device_train_batch_size", a.BatchSize, "kto compares each completion with those of the other records of its micro-batch: at least 2, or `loss_type` apo_zero_unpaired")
		}
		if a.orderStrategy() != OrderSequential {
			refuse("train_sampling_strategy", a.orderStrategy(), "kto needs the order that its records were combined in: sequential, or `loss_type` apo_zero_unpaired")
		}
	},
}
