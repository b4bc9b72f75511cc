package ggml

// The types of ternary models (BitNet b1.58): x = d·t, t in -1, 0, 1.

// TQ2_0 stores t + 1 in 2 bits.
//
//	codes [64]byte, d [2]byte: byte j of the first 32 has elements j, j+32, j+64 and j+96,
//	the first lowest; the last 32 bytes have the other 128 elements
func decodeTQ2_0(dst []float32, block []byte) {
	values := ternary(half(block[64:]))
	for half := range 2 {
		x, codes := (*[128]float32)(dst[128*half:]), (*[32]byte)(block[32*half:])
		for j, c := range codes {
			x[j] = values[c&3]
			x[j+32] = values[c>>2&3]
			x[j+64] = values[c>>4&3]
			x[j+96] = values[c>>6]
		}
	}
}

// TQ1_0 stores five t + 1 in a byte, as the digits of a fraction to base 3: byte/256 is
// 0.abcde in base 3, rounded up. A digit is the whole part of three times the fraction.
//
//	codes [48]byte, last [4]byte, d [2]byte: of 32 bytes byte j has elements j, j+32, …, j+128,
//	of the next 16 bytes byte j has elements 160+j, 176+j, …, and last has four elements in a
//	byte, 4 apart
func decodeTQ1_0(dst []float32, block []byte) {
	values := ternary(half(block[52:]))
	for _, part := range [...]struct{ from, to, digits int }{{0, 32, 5}, {32, 48, 5}, {48, 52, 4}} {
		codes := block[part.from:part.to]
		for j, c := range codes {
			for digit := range part.digits {
				dst[digit*len(codes)+j] = values[uint(c)*3>>8]
				c *= 3
			}
		}
		dst = dst[part.digits*len(codes):]
	}
}

// ternary returns the values of the codes 0 to 3, of which quantized models have the first three.
func ternary(d float32) [4]float32 { return [4]float32{-1 * d, 0 * d, d, 2 * d} }
