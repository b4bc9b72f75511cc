// Package pyrandom reproduces Python's random.Random: MT19937 (Matsumoto and Nishimura
// 1998) seeded by an array, and CPython's samples (Modules/_randommodule.c,
// Lib/random.py).
package pyrandom

import (
	"math"
	"math/bits"

	"qlora/internal/torchrand"
)

// A Random is the state of a random.Random.
type Random struct{ bits *torchrand.Generator }

// New returns random.Random(seed).
func New(seed uint64) *Random {
	key := []uint32{uint32(seed)}
	if high := uint32(seed >> 32); high != 0 {
		key = append(key, high)
	}
	return &Random{torchrand.NewByArray(key)}
}

// below returns a number below n, which is at least 1: _randbelow_with_getrandbits.
func (r *Random) below(n int) int {
	width := bits.Len(uint(n))
	for {
		if x := r.bitsOf(width); x < n {
			return x
		}
	}
}

// bitsOf returns getrandbits(width) of at most 63 bits: 32 at a time, the lowest first.
func (r *Random) bitsOf(width int) int {
	x := 0
	for shift := 0; shift < width; shift += 32 {
		word := r.bits.Uint32()
		if left := width - shift; left < 32 {
			word >>= 32 - left
		}
		x |= int(word) << shift
	}
	return x
}

// Sample returns random.sample(range(n), k): k of the numbers below n in random order.
// It panics if k exceeds n.
func (r *Random) Sample(n, k int) []int {
	if k < 0 || k > n {
		panic("pyrandom: the sample is larger than the population")
	}
	picked := make([]int, k)
	// Python uses a list where that is smaller than a set.
	setSize := 21.0
	if k > 5 {
		setSize += math.Pow(4, math.Ceil(math.Log(float64(3*k))/math.Log(4)))
	}
	if float64(n) <= setSize {
		pool := make([]int, n)
		for i := range pool {
			pool[i] = i
		}
		for i := range picked {
			j := r.below(n - i)
			picked[i] = pool[j]
			pool[j] = pool[n-i-1]
		}
		return picked
	}
	seen := map[int]bool{}
	for i := range picked {
		j := r.below(n)
		for seen[j] {
			j = r.below(n)
		}
		seen[j] = true
		picked[i] = j
	}
	return picked
}
