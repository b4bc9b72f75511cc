package ggml

import "math"

// e2m1 has twice the values of the 4-bit float with 2 exponent bits and 1 mantissa bit (OCP
// Microscaling Formats 1.0). Negative zero reads as zero.
var e2m1 = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// MXFP4 is a power of two and 32 codes in e2m1, x = 2^(e-127)·e2m1.
//
//	e byte, codes as in Q4_0
func decodeMXFP4(dst []float32, block []byte) {
	// Half of the scale, because the table has twice the values; exact, subnormals too.
	scale := float32(math.Ldexp(1, int(block[0])-128))
	decodeNibbles((*[32]float32)(dst), (*[16]byte)(block[1:]), scaled(&e2m1, scale))
}

// NVFP4 is four scales in E4M3 without a sign and four times 16 codes in e2m1. GGUF files have
// the tensor's second scale, a float32, as a tensor of its own.
//
//	scales [4]byte, codes [4][8]byte: byte j of 8 has element j below element j+8
func decodeNVFP4(dst []float32, block []byte) {
	for s, code := range (*[4]byte)(block) {
		values := scaled(&e2m1, fromUE4M3(code)*0.5)
		x := (*[16]float32)(dst[16*s:])
		for j, c := range (*[8]byte)(block[4+8*s:]) {
			x[j] = values[c&15]
			x[j+8] = values[c>>4]
		}
	}
}

// fromUE4M3 returns the value of a float with 4 exponent bits and 3 mantissa bits. The code of
// NaN is 0 as in llama.cpp.
func fromUE4M3(code byte) float32 {
	exponent, mantissa := int(code>>3&15), float64(code&7)
	switch {
	case code == 0x7f:
		return 0
	case exponent == 0:
		return float32(math.Ldexp(mantissa, -9))
	}
	return float32(math.Ldexp(8+mantissa, exponent-10))
}

// scaled returns d times each value.
func scaled(values *[16]float32, d float32) *[16]float32 {
	var x [16]float32
	for i, v := range values {
		x[i] = v * d
	}
	return &x
}
