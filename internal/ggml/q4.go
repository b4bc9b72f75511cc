package ggml

// Q4_0 is a scale d and 32 codes of 4 bits, x = d·(q - 8).
//
//	d [2]byte, codes [16]byte: byte j has element j below element j+16
func decodeQ4_0(dst []float32, block []byte) {
	var values [16]float32
	d := half(block)
	for q := range values {
		values[q] = float32(q-8) * d
	}
	decodeNibbles((*[32]float32)(dst), (*[16]byte)(block[2:]), &values)
}

// Q4_1 is a scale d, a minimum m and 32 codes of 4 bits, x = d·q + m.
//
//	d [2]byte, m [2]byte, codes as in Q4_0
func decodeQ4_1(dst []float32, block []byte) {
	var values [16]float32
	d, m := half(block), half(block[2:])
	for q := range values {
		values[q] = float32(float32(q)*d) + m
	}
	decodeNibbles((*[32]float32)(dst), (*[16]byte)(block[4:]), &values)
}

// decodeNibbles looks 32 codes up.
func decodeNibbles(dst *[32]float32, codes *[16]byte, values *[16]float32) {
	for j, c := range codes {
		dst[j] = values[c&15]
		dst[j+16] = values[c>>4]
	}
}

func encodeQ4_0(block []byte, src []float32) {
	d := extreme(src) / -8
	putHalf(block, d)
	inverse := reciprocal(d)
	x, codes := (*[32]float32)(src), (*[16]byte)(block[2:])
	for j := range codes {
		low := min(15, int8(truncate(float32(x[j]*inverse)+8.5)))
		high := min(15, int8(truncate(float32(x[j+16]*inverse)+8.5)))
		codes[j] = uint8(low) | uint8(high)<<4
	}
}

func encodeQ4_1(block []byte, src []float32) {
	low, high := bounds(src)
	d := (high - low) / 15
	putHalf(block, d)
	putHalf(block[2:], low)
	inverse := reciprocal(d)
	x, codes := (*[32]float32)(src), (*[16]byte)(block[4:])
	for j := range codes {
		a := min(15, int8(truncate(float32((x[j]-low)*inverse)+0.5)))
		b := min(15, int8(truncate(float32((x[j+16]-low)*inverse)+0.5)))
		codes[j] = uint8(a) | uint8(b)<<4
	}
}
