package serve

import (
	"math"
	"slices"
)

// A ranked token is one of the likeliest in a place.
type ranked struct {
	id      int32
	logprob float32
}

// rank returns the logarithm of a token's probability and the n likeliest tokens, of equal
// ones the smaller id first. The probabilities are the model's: a temperature does not
// change them.
func rank(logits []float32, id int32, n int) (float32, []ranked) {
	top := float64(slices.Max(logits))
	sum := 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	scale := top + math.Log(sum)
	best := make([]ranked, 0, n+1)
	for i, x := range logits {
		if len(best) == n && (n == 0 || x <= best[n-1].logprob) {
			continue
		}
		at := len(best)
		for at > 0 && best[at-1].logprob < x {
			at--
		}
		best = slices.Insert(best, at, ranked{int32(i), x})
		best = best[:min(len(best), n)]
	}
	for i := range best {
		best[i].logprob = float32(float64(best[i].logprob) - scale)
	}
	return float32(float64(logits[id]) - scale), best
}
