package cpu

import "qlora/bindings"

// logProbs sums in float64.
func (d *Device) logProbs(op *bindings.LogProbs) {
	losses, share, out := f32(op.Losses), f32(op.Share), f32(op.Out)
	starts := op.Sequences.Starts
	for s := range out {
		var sum float64
		for t := starts[s]; t < starts[s+1]; t++ {
			sum -= float64(share[t]) * float64(losses[t])
		}
		out[s] = float32(sum)
	}
}
