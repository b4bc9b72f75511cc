package ggml

// Q1_0 is a scale d and 128 signs, x = ±d.
//
//	d [2]byte, signs [16]byte: bit i%8 of byte i/8 is 1 for +d
func decodeQ1_0(dst []float32, block []byte) {
	d := half(block)
	values := [2]float32{-d, d}
	for j := range dst {
		dst[j] = values[block[2+j/8]>>(j%8)&1]
	}
}

// Q2_0 is a scale d and 64 codes of 2 bits, x = d·(q - 1).
//
//	d [2]byte, codes [16]byte: four in a byte, the first lowest
func decodeQ2_0(dst []float32, block []byte) {
	d := half(block)
	values := [4]float32{-1 * d, 0 * d, d, 2 * d}
	for j := range dst {
		dst[j] = values[block[2+j/4]>>(j%4*2)&3]
	}
}
