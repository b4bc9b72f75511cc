package ggml

// Q8_0 is a scale d and 32 codes of 8 bits, x = d·q.
//
//	d [2]byte, codes [32]int8
func decodeQ8_0(dst []float32, block []byte) {
	d := half(block)
	x := (*[32]float32)(dst)
	for j, q := range (*[32]byte)(block[2:]) {
		x[j] = float32(int8(q)) * d
	}
}

func encodeQ8_0(block []byte, src []float32) {
	x, codes := (*[32]float32)(src), (*[32]byte)(block[2:])
	var most float32
	for _, v := range x {
		most = max(most, abs(v))
	}
	d := most / 127
	putHalf(block, d)
	inverse := reciprocal(d)
	for j, v := range x {
		codes[j] = uint8(roundAway(v * inverse))
	}
}
