package conformance

import "math"

// crossEntropy returns the loss of one row of logits, its gradient, and whether the
// label has the largest logit. The target is the label, smoothed.
func crossEntropy(logits []float64, label int, smoothing float64) (loss float64, gradient []float64, hit bool) {
	top, best := math.Inf(-1), 0
	for j, v := range logits {
		if v > top {
			top, best = v, j
		}
	}
	var sum float64
	for _, v := range logits {
		sum += math.Exp(v - top)
	}
	lse := top + math.Log(sum)
	gradient = make([]float64, len(logits))
	for j, v := range logits {
		target := smoothing / float64(len(logits))
		if j == label {
			target += 1 - smoothing
		}
		gradient[j] = math.Exp(v-lse) - target
		loss += target * (lse - v)
	}
	return loss, gradient, best == label
}
