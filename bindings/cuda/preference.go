package cuda

import "qlora/bindings"

// The numbers of losses and stats are the same on both sides.
var (
	_ [lastLoss - bindings.LossSmoothed]struct{}
	_ [bindings.LossSmoothed - lastLoss]struct{}
	_ [stats - bindings.PreferenceStats]struct{}
	_ [bindings.PreferenceStats - stats]struct{}
	_ [maxTerms - bindings.MaxPreferenceTerms]struct{}
)

// logProbs launches one kernel.
func (c *composer) logProbs(op *bindings.LogProbs) {
	do(c, &logProbs{losses: vector(op.Losses), share: vector(op.Share), starts: vector(op.Sequences.Device), out: vector(op.Out)})
}

// preference launches one kernel.
func (c *composer) preference(op *bindings.Preference) {
	k := &preference{
		beta: float(op.Beta), smoothing: float(op.Smoothing), margin: float(op.Margin), temperature: float(op.Temperature), alpha: float(op.Alpha),
		desirable_weight: float(op.DesirableWeight), undesirable_weight: float(op.UndesirableWeight), scale: float(op.Scale),
		log_probs: vector(op.LogProbs), reference: vector(op.Reference), lengths: vector(op.Lengths), desirable: vector(op.Desirable), slopes: vector(op.Slopes),
		kl: vector(op.KL), kl_reference: vector(op.KLReference),
		losses: vector(op.Losses), share: vector(op.Share), fit: vector(op.Fit), weights: vector(op.Weights),
		starts: vector(op.Sequences.Device), stats: vector(op.Stats), terms: i32(len(op.Terms)),
	}
	for i, t := range op.Terms {
		k.losses_of[i], k.weights_of[i] = i32(t.Loss), float(t.Weight)
	}
	do(c, k)
}
