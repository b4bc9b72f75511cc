package conformance

import "math"

// crossEntropy returns the loss of one row of logits, its gradient, and whether the
// label has the largest logit.
func crossEntropy(logits []float64, label int) (loss float64, gradient []float64, hit bool) {
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
		gradient[j] = math.Exp(v - lse)
	}
	gradient[label]--
	return lse - logits[label], gradient, best == label
}
