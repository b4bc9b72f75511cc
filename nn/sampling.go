package nn

import (
	"fmt"
	"math"
	"slices"

	"qlora/internal/philox"
)

// A Sampler draws tokens. The n-th draw depends only on the seed, n and the logits.
type Sampler struct {
	Sampling
	order  []int32 // candidate token ids, most likely first if they are restricted
	probs  []float64
	nearby int // candidates of the last nucleus
}

// NewSampler returns a sampler that draws as s says.
func NewSampler(s Sampling) *Sampler { return &Sampler{Sampling: s} }

// Next returns the n-th token, given its logits, or an error if a logit is NaN.
func (s *Sampler) Next(logits []float32, n int) (int32, error) {
	best, top := largest(logits)
	if math.IsNaN(float64(top)) {
		return 0, fmt.Errorf("the logit of token %d is not a number: the weights or the adapter are damaged", best)
	}
	if s.Temperature <= 0 {
		return int32(best), nil
	}
	order, sum := s.candidates(logits, top)
	if s.MinP > 0 {
		order, sum = s.likely(order)
	}
	probs := s.probs
	r := philox.Block([2]uint32{uint32(s.Seed), uint32(s.Seed >> 32)}, [4]uint32{uint32(n)})
	at := (float64(r[0])*(1<<21) + float64(r[1]>>11)) / (1 << 53) * sum
	for i, id := range order {
		if at -= probs[i]; at < 0 {
			return id, nil
		}
	}
	return order[len(order)-1], nil
}

// largest returns the first of the largest logits, or the first that is not a number. Nearly all
// groups of eight have none above those before.
func largest(logits []float32) (best int, top float32) {
	top = float32(math.Inf(-1))
	for from := 0; from < len(logits); from += 8 {
		some := logits[from:min(from+8, len(logits))]
		if len(some) == 8 && some[0] <= top && some[1] <= top && some[2] <= top && some[3] <= top && some[4] <= top && some[5] <= top && some[6] <= top && some[7] <= top {
			continue
		}
		for i, x := range some {
			if !(x <= top) {
				if best, top = from+i, x; math.IsNaN(float64(x)) {
					return best, top
				}
			}
		}
	}
	return best, top
}

// candidates returns the tokens to draw from and the sum of their probabilities, relative to
// that of a logit of top.
func (s *Sampler) candidates(logits []float32, top float32) ([]int32, float64) {
	s.grow(len(logits))
	if s.TopK > 0 {
		order := s.likeliest(logits, s.TopK)
		sum := s.weigh(logits, order, top)
		if s.TopP < 1 {
			order, sum, _ = s.nucleus(order, sum)
		}
		return order, sum
	}
	order := s.order[:len(logits)]
	for i := range order {
		order[i] = int32(i)
	}
	sum := s.weigh(logits, order, top)
	if s.TopP >= 1 {
		return order, sum
	}
	// A nucleus is nearly always a small part of the vocabulary.
	for n := max(64, 2*s.nearby); ; n *= 8 {
		order := s.likeliest(logits, n)
		s.weigh(logits, order, top)
		if kept, p, whole := s.nucleus(order, sum); whole || len(order) == len(logits) {
			s.nearby = len(kept)
			return kept, p
		}
	}
}

// likely keeps the candidates at least MinP as likely as the most likely token, whose weight is 1.
func (s *Sampler) likely(order []int32) ([]int32, float64) {
	kept, sum := 0, 0.0
	for i, id := range order {
		if p := s.probs[i]; p >= s.MinP {
			order[kept], s.probs[kept] = id, p
			sum += p
			kept++
		}
	}
	return order[:kept], sum
}

// grow allocates the scratch for a vocabulary.
func (s *Sampler) grow(vocabulary int) {
	if len(s.order) < vocabulary {
		s.order, s.probs = make([]int32, vocabulary), make([]float64, vocabulary)
	}
}

// weigh writes the relative probabilities of tokens and returns their sum.
func (s *Sampler) weigh(logits []float32, order []int32, top float32) float64 {
	sum := 0.0
	for i, id := range order {
		s.probs[i] = math.Exp((float64(logits[id]) - float64(top)) / s.Temperature)
		sum += s.probs[i]
	}
	return sum
}

// likeliest returns the n tokens with the largest logits, largest first; of equals the
// smaller id is first. It keeps the best so far in a heap, the last of them at its root.
func (s *Sampler) likeliest(logits []float32, n int) []int32 {
	before := func(a, b int32) bool {
		return logits[a] > logits[b] || logits[a] == logits[b] && a < b
	}
	s.grow(len(logits))
	n = min(n, len(logits))
	heap := s.order[:n]
	for i := range heap {
		heap[i] = int32(i)
	}
	sink := func(i int) {
		for {
			child := 2*i + 1
			if child >= n {
				return
			}
			if child+1 < n && before(heap[child], heap[child+1]) {
				child++
			}
			if !before(heap[i], heap[child]) {
				return
			}
			heap[i], heap[child] = heap[child], heap[i]
			i = child
		}
	}
	for i := n/2 - 1; i >= 0; i-- {
		sink(i)
	}
	if n < len(logits) {
		last := logits[heap[0]]
		for i, x := range logits[n:] {
			if x > last {
				heap[0] = int32(n + i)
				sink(0)
				last = logits[heap[0]]
			}
		}
	}
	slices.SortFunc(heap, func(a, b int32) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	return heap
}

// nucleus returns the smallest prefix of order whose probabilities reach TopP of sum
// (Holtzman et al. 2020), their sum, and whether order reaches it.
func (s *Sampler) nucleus(order []int32, sum float64) ([]int32, float64, bool) {
	kept := 0.0
	for i := range order {
		kept += s.probs[i]
		if kept >= s.TopP*sum {
			return order[:i+1], kept, true
		}
	}
	return order, kept, false
}
