package cuda

import "qlora/bindings"

// The numbers of losses and stats are the same on both sides.
var (
	_ [lastPolicyLoss - bindings.PolicyVESPO]struct{}
	_ [bindings.PolicyVESPO - lastPolicyLoss]struct{}
	_ [policyStats - bindings.PolicyStats]struct{}
	_ [bindings.PolicyStats - policyStats]struct{}
)

// policy launches one kernel.
func (c *composer) policy(op *bindings.Policy) {
	k := &policy{
		loss: i32(op.Loss), of_sequences: flag(op.Sequence), kl_by_ratio: flag(op.KLByRatio),
		beta: float(op.Beta), low: float(op.Low), high: float(op.High), delta: float(op.Delta), least: float(op.Least), far: float(op.Far), scale: float(op.Scale),
		losses: vector(op.Losses), old: vector(op.Old), reference: vector(op.Reference), entropies: vector(op.Entropies), share: vector(op.Share), weights: vector(op.Weights),
		advantages: vector(op.Advantages), starts: vector(op.Sequences.Device), stats: vector(op.Stats),
	}
	for i := range 2 {
		k.temperature[i], k.power[i], k.decay[i] = float(op.Temperature[i]), float(op.Power[i]), float(op.Decay[i])
	}
	do(c, k)
}
