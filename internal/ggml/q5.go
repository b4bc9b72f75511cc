package ggml

import "encoding/binary"

// Q5_0 is a scale d and 32 codes of 5 bits, x = d·(q - 16).
//
//	d [2]byte, high uint32, low [16]byte: bit i of high is code i's fifth bit, low as in Q4_0
func decodeQ5_0(dst []float32, block []byte) {
	var values [32]float32
	d := half(block)
	for q := range values {
		values[q] = float32(q-16) * d
	}
	decodeFives((*[32]float32)(dst), block[2:22], &values)
}

// Q5_1 is a scale d, a minimum m and 32 codes of 5 bits, x = d·q + m.
//
//	d [2]byte, m [2]byte, codes as in Q5_0
func decodeQ5_1(dst []float32, block []byte) {
	var values [32]float32
	d, m := half(block), half(block[2:])
	for q := range values {
		values[q] = float32(float32(q)*d) + m
	}
	decodeFives((*[32]float32)(dst), block[4:24], &values)
}

// decodeFives looks 32 codes of 5 bits up.
func decodeFives(dst *[32]float32, codes []byte, values *[32]float32) {
	high, low := binary.LittleEndian.Uint32(codes), (*[16]byte)(codes[4:])
	for j, c := range low {
		dst[j] = values[c&15|uint8(high<<4&16)]
		dst[j+16] = values[c>>4|uint8(high>>12&16)]
		high >>= 1
	}
}

func encodeQ5_0(block []byte, src []float32) {
	d := extreme(src) / -16
	putHalf(block, d)
	inverse := reciprocal(d)
	var q [32]uint8
	for j, x := range (*[32]float32)(src) {
		q[j] = uint8(min(31, int8(truncate(float32(x*inverse)+16.5))))
	}
	encodeFives(block[2:22], &q)
}

func encodeQ5_1(block []byte, src []float32) {
	low, high := bounds(src)
	d := (high - low) / 31
	putHalf(block, d)
	putHalf(block[2:], low)
	inverse := reciprocal(d)
	var q [32]uint8
	for j, x := range (*[32]float32)(src) {
		q[j] = uint8(truncate(float32((x-low)*inverse) + 0.5))
	}
	encodeFives(block[4:24], &q)
}

func encodeFives(codes []byte, q *[32]uint8) {
	var high uint32
	for j := range 16 {
		codes[4+j] = q[j]&15 | q[j+16]<<4
		high |= uint32(q[j]>>4&1)<<j | uint32(q[j+16]>>4&1)<<(j+16)
	}
	binary.LittleEndian.PutUint32(codes, high)
}
