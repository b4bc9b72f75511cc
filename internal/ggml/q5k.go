package ggml

// Q5_K is Q4_K with codes of 5 bits.
//
//	d [2]byte, dmin [2]byte, scales [12]byte, high [32]byte, low [4][32]byte: bit i of
//	high's byte j is the fifth bit of element 32·i+j
func decodeQ5_K(dst []float32, block []byte) {
	d, dmin := half(block), half(block[2:])
	s, m := unpackEights((*[12]byte)(block[4:]))
	high := (*[32]byte)(block[16:])
	for i := range 8 {
		scale, low := d*float32(s[i]), dmin*float32(m[i])
		var values [32]float32
		for q := range values {
			values[q] = float32(scale*float32(q)) - low
		}
		x, codes := (*[32]float32)(dst[32*i:]), (*[32]byte)(block[48+i/2*32:])
		shift := i % 2 * 4
		for j, c := range codes {
			x[j] = values[c>>shift&15|high[j]>>i&1<<4]
		}
	}
}

func encodeQ5_K(block []byte, src []float32) {
	var codes [256]uint8
	encodeEights(block, src, &codes, &q5Search)
	high := (*[32]byte)(block[16:])
	*high = [32]byte{}
	for i := 0; i < 8; i += 2 {
		packed, pair := (*[32]byte)(block[48+16*i:]), (*[64]uint8)(codes[32*i:])
		for j := range packed {
			a, b := pair[j], pair[j+32]
			packed[j] = a&15 | b<<4
			high[j] |= a>>4<<i | b>>4<<(i+1)
		}
	}
}
