// Package halffloat converts between float32 and the two 16-bit floats of model files:
// bfloat16 and IEEE 754 binary16. Narrowing rounds to nearest, ties to even, as
// PyTorch's and the GPU's conversions do. A NaN stays a NaN: it keeps its sign and the
// upper bits of its payload and becomes quiet.
package halffloat

import "math"

// FromBF16 returns the value of the bfloat16 h, exactly.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// BF16 returns the bfloat16 nearest to x. Values beyond the largest finite bfloat16
// round to infinity as in IEEE 754.
func BF16(x float32) uint16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x0040
	}
	// Half of the last kept bit, less one if that bit is even: a carry rounds up.
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// BF16ToFloat32 widens src into dst, which must be at least as long.
func BF16ToFloat32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

// Float32ToBF16 rounds src into dst, which must be at least as long.
func Float32ToBF16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = BF16(x)
	}
}
