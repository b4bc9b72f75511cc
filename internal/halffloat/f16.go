package halffloat

import "math"

const (
	f16Infinity = 0x7c00
	// f32 bit patterns where binary16 changes its rules.
	f16Overflow  = 0x47800000 // 65536: from here on the exponent does not fit
	f16MinNormal = 0x38800000 // 2^-14: below it binary16 is subnormal
)

// FromF16 returns the value of the binary16 h, exactly.
func FromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	magnitude := uint32(h&0x7fff) << 13
	switch {
	case magnitude > f16Infinity<<13: // NaN, made quiet
		return math.Float32frombits(sign | magnitude | 0x7fc00000)
	case magnitude == f16Infinity<<13:
		return math.Float32frombits(sign | 0x7f800000)
	}
	// Read with float32's exponent bias the value is 2^-112 of the result; the
	// multiplication is exact and normalises the subnormals.
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(magnitude)*0x1p112))
}

// F16 returns the binary16 nearest to x: infinity from 65520 on, subnormal below 2^-14.
func F16(x float32) uint16 {
	b := math.Float32bits(x)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN, made quiet
		return sign | f16Infinity | 0x0200 | uint16(b>>13&0x1ff)
	case b >= f16Overflow:
		return sign | f16Infinity
	case b < f16MinNormal:
		// The last bit of a float32 in [1/2, 1) is 2^-24, binary16's smallest step, so
		// adding 1/2 makes the floating-point unit round.
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-math.Float32bits(0.5))
	}
	b -= (127 - 15) << 23
	return sign | uint16((b+0xfff+b>>13&1)>>13)
}

// F16ToFloat32 widens src into dst, which must be at least as long.
func F16ToFloat32(dst []float32, src []uint16) {
	dst = dst[:len(src)]
	for i, h := range src {
		dst[i] = FromF16(h)
	}
}

// Float32ToF16 rounds src into dst, which must be at least as long.
func Float32ToF16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	for i, x := range src {
		dst[i] = F16(x)
	}
}
