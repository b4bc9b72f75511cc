package family

import (
	"math"
	"math/bits"

	"qlora/nn"
)

// slopes returns ALiBi's slope of each of n heads (Press et al. 2022): 2^(-8i/p) for
// the first p heads, where p is the largest power of two up to n, and
// 2^(-4(2i-1)/p) for the others.
func slopes(n int) []float32 {
	p := 1 << (bits.Len(uint(n)) - 1)
	s := make([]float32, n)
	for i := range s {
		base, power := math.Exp2(-8/float64(p)), i+1
		if i >= p {
			base, power = math.Exp2(-4/float64(p)), 2*(i-p)+1
		}
		s[i] = float32(math.Pow(float64(float32(base)), float64(power)))
	}
	return s
}

// alibi returns the bias slope·position on the scores of n heads.
func alibi(n int) *nn.KeyBias {
	s := slopes(n)
	return &nn.KeyBias{Heads: n, At: func(head, place int) float32 { return s[head] * float32(place) }}
}
