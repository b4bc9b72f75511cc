// Package numpyrand draws the permutations of numpy's default_rng, bit for bit: PCG64
// (https://www.pcg-random.org), seeded by numpy's SeedSequence.
package numpyrand

import "math/bits"

// Permutation returns default_rng(seed).permutation(n).
func Permutation(seed uint64, n int) []int {
	g := newGenerator(seed)
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := g.atMost(uint32(i))
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// A generator is a PCG64 with 128 bits of state.
type generator struct {
	high, low       uint64
	incHigh, incLow uint64
	spare           uint32 // the upper half of the last number
	hasSpare        bool
}

func newGenerator(seed uint64) *generator {
	state := seedSequence(seed)
	g := &generator{incHigh: state[2]<<1 | state[3]>>63, incLow: state[3]<<1 | 1}
	g.step()
	var carry uint64
	g.low, carry = bits.Add64(g.low, state[1], 0)
	g.high, _ = bits.Add64(g.high, state[0], carry)
	g.step()
	return g
}

// step computes state = state·multiplier + increment.
func (g *generator) step() {
	const multiplierHigh, multiplierLow = 0x2360ed051fc65da4, 0x4385df649fccf645
	high, low := bits.Mul64(g.low, multiplierLow)
	high += g.high*multiplierLow + g.low*multiplierHigh
	var carry uint64
	g.low, carry = bits.Add64(low, g.incLow, 0)
	g.high, _ = bits.Add64(high, g.incHigh, carry)
}

// uint32 returns the lower half of a number and then its upper half.
func (g *generator) uint32() uint32 {
	if g.hasSpare {
		g.hasSpare = false
		return g.spare
	}
	g.step()
	x := bits.RotateLeft64(g.high^g.low, -int(g.high>>58))
	g.spare, g.hasSpare = uint32(x>>32), true
	return uint32(x)
}

// atMost returns a number of [0, most]: the first whose lower bits are not larger.
func (g *generator) atMost(most uint32) uint32 {
	mask := uint32(1)<<bits.Len32(most) - 1
	for {
		if x := g.uint32() & mask; x <= most {
			return x
		}
	}
}

// seedSequence returns SeedSequence(seed).generate_state(4, uint64).
func seedSequence(seed uint64) [4]uint64 {
	mixed := uint32(0x43b0d7e5)
	hash := func(x uint32) uint32 {
		x ^= mixed
		mixed *= 0x931e8875
		x *= mixed
		return x ^ x>>16
	}
	pool := [4]uint32{uint32(seed), uint32(seed >> 32)}
	for i := range pool {
		pool[i] = hash(pool[i])
	}
	for from := range pool {
		for to := range pool {
			if from != to {
				x := 0xca01f9dd*pool[to] - 0x4973f715*hash(pool[from])
				pool[to] = x ^ x>>16
			}
		}
	}
	var state [4]uint64
	factor := uint32(0x8b51f9dd)
	for i := range 8 {
		x := pool[i%4] ^ factor
		factor *= 0x58f38ded
		x *= factor
		state[i/2] |= uint64(x^x>>16) << (32 * (i % 2))
	}
	return state
}
