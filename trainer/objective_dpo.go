package trainer

import "qlora/bindings"

// objectiveDPO is direct preference optimisation with TRL's table of losses.
var objectiveDPO = objective{
	name: "dpo", reference: true,
	losses: []string{
		"sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
		"apo_zero", "apo_down", "discopop", "sigmoid_norm", "sft",
	},
	terms: func(a *PreferenceArgs) comparer {
		c := comparer{discount: a.LDAlpha}
		c.rule.Smoothing, c.rule.Temperature = float32(a.Smoothing), float32(a.DiscoPOPTau)
		weights, _ := a.lossWeights() // Validate has checked them
		for i, name := range a.losses() {
			if name == "sft" {
				c.fit += weights[i]
				continue
			}
			c.rule.Terms = append(c.rule.Terms, bindings.PreferenceTerm{Loss: dpoLosses[name], Weight: float32(weights[i])})
		}
		return c
	},
}

var dpoLosses = map[string]bindings.PreferenceLoss{
	"sigmoid": bindings.LossSigmoid, "hinge": bindings.LossHinge, "ipo": bindings.LossIPO, "exo_pair": bindings.LossEXO,
	"nca_pair": bindings.LossNCA, "robust": bindings.LossRobust, "bco_pair": bindings.LossBCO, "sppo_hard": bindings.LossSPPO,
	"aot": bindings.LossAOT, "aot_unpaired": bindings.LossAOTUnpaired, "apo_zero": bindings.LossAPOZero,
	"apo_down": bindings.LossAPODown, "discopop": bindings.LossDiscoPOP, "sigmoid_norm": bindings.LossNorm,
}
