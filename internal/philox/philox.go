// Package philox implements Philox4x32-10, the counter-based random generator of Salmon
// et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011): each block of four
// numbers is a pure function of a key and a counter, so that a mask can be recomputed on
// any device, in any order.
package philox

const (
	multiplier0 = 0xD2511F53
	multiplier1 = 0xCD9E8D57
	weyl0       = 0x9E3779B9
	weyl1       = 0xBB67AE85
	rounds      = 10
)

// Block returns the four numbers at counter.
func Block(key [2]uint32, counter [4]uint32) [4]uint32 {
	// Scalars keep all ten rounds in registers.
	c0, c1, c2, c3 := counter[0], counter[1], counter[2], counter[3]
	k0, k1 := key[0], key[1]
	for range rounds {
		p0 := uint64(multiplier0) * uint64(c0)
		p1 := uint64(multiplier1) * uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += weyl0
		k1 += weyl1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Key returns the key of a 64-bit seed.
func Key(seed uint64) [2]uint32 { return [2]uint32{uint32(seed), uint32(seed >> 32)} }
