package nn

import (
	"fmt"
	"math"
	"slices"

	"qlora/internal/philox"
)

// A sampler draws tokens. The n-th draw depends only on the seed, n and the logits.
type sampler struct {
	Sampling
	order []int32 // candidate token ids, most likely first
	probs []float64
}

func newSampler(s Sampling, vocabulary int) *sampler {
	return &sampler{Sampling: s, order: make([]int32, vocabulary), probs: make([]float64, vocabulary)}
}

// next returns the n-th token, given its logits, or an error if a logit is NaN.
func (s *sampler) next(logits []float32, n int) (int32, error) {
	best := 0
	for i, x := range logits {
		if math.IsNaN(float64(x)) {
			return 0, fmt.Errorf("the logit of token %d is not a number: the weights or the adapter are damaged", i)
		}
		if x > logits[best] {
			best = i
		}
	}
	if s.Temperature <= 0 {
		return int32(best), nil
	}
	order, probs := s.order[:len(logits)], s.probs[:len(logits)]
	for i := range order {
		order[i] = int32(i)
	}
	if s.TopK > 0 || s.TopP < 1 {
		slices.SortStableFunc(order, func(a, b int32) int {
			switch {
			case logits[a] > logits[b]:
				return -1
			case logits[a] < logits[b]:
				return 1
			}
			return 0
		})
	}
	if s.TopK > 0 {
		order = order[:min(s.TopK, len(order))]
	}
	sum := 0.0
	for i, id := range order {
		probs[i] = math.Exp((float64(logits[id]) - float64(logits[best])) / s.Temperature)
		sum += probs[i]
	}
	if s.TopP < 1 {
		order, sum = s.nucleus(order, probs, sum)
	}
	r := philox.Block([2]uint32{uint32(s.Seed), uint32(s.Seed >> 32)}, [4]uint32{uint32(n)})
	at := (float64(r[0])*(1<<21) + float64(r[1]>>11)) / (1 << 53) * sum
	for i, id := range order {
		if at -= probs[i]; at < 0 {
			return id, nil
		}
	}
	return order[len(order)-1], nil
}

// nucleus returns the smallest prefix of order whose probabilities reach TopP
// (Holtzman et al. 2020), and their sum.
func (s *sampler) nucleus(order []int32, probs []float64, sum float64) ([]int32, float64) {
	kept := 0.0
	for i := range order {
		kept += probs[i]
		if kept >= s.TopP*sum {
			return order[:i+1], kept
		}
	}
	return order, sum
}
