package trainer

import "qlora/bindings"

// objectiveORPO is odds ratio preference optimisation: the loss of the chosen sequences,
// prompts included, and the log-ratio of the odds of chosen and rejected completions.
var objectiveORPO = objective{
	name:   "orpo",
	losses: []string{"orpo"},
	terms: func(*PreferenceArgs) comparer {
		c := comparer{mean: true, fit: 1, fitPrompt: true, logsFit: true}
		c.rule.Terms = []bindings.PreferenceTerm{{Loss: bindings.LossOdds, Weight: 1}}
		return c
	},
}
