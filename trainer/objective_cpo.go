package trainer

import "qlora/bindings"

// objectiveCPO is contrastive preference optimisation: preferences without a reference, and
// the loss of the chosen completions.
var objectiveCPO = objective{
	name:   "cpo",
	losses: []string{"sigmoid", "hinge", "ipo", "simpo"},
	terms:  func(a *PreferenceArgs) comparer { return cpo(a, a.losses()[0], a.CPOAlpha) },
}

// objectiveSimPO is CPO with SimPO's loss, a margin between the means of the tokens'
// log-probabilities, and nothing else.
var objectiveSimPO = objective{
	name:   "simpo",
	losses: []string{"simpo"},
	terms:  func(a *PreferenceArgs) comparer { return cpo(a, "simpo", 0) },
}

func cpo(a *PreferenceArgs, name string, fit float64) comparer {
	c := comparer{fit: fit, logsFit: fit != 0, mean: name == "ipo" || name == "simpo"}
	c.rule.Smoothing, c.rule.Alpha = float32(a.Smoothing), float32(a.AlphaPO)
	loss := map[string]bindings.PreferenceLoss{
		"sigmoid": bindings.LossSmoothed, "hinge": bindings.LossHinge, "ipo": bindings.LossIPO, "simpo": bindings.LossSmoothed,
	}[name]
	if name == "simpo" {
		c.rule.Margin = float32(a.SimPOGamma)
	}
	c.rule.Terms = []bindings.PreferenceTerm{{Loss: loss, Weight: 1}}
	return c
}
