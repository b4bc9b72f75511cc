package ggml

// Q6_K is 16 times 16 codes of 6 bits with a scale of 8 bits, and a scale for the scales:
// x = d·s·(q - 32).
//
//	low [128]byte, high [64]byte, scales [16]int8, d [2]byte: of the first 128 elements,
//	byte j of low has the low 4 bits of elements j and j+64, j < 64, and byte j of high has
//	the high 2 bits of elements j, j+32, j+64 and j+96, j < 32
func decodeQ6_K(dst []float32, block []byte) {
	d := half(block[208:])
	var scales [16]float32
	for i, s := range (*[16]byte)(block[192:]) {
		scales[i] = d * float32(int8(s))
	}
	for h := range 2 {
		x := (*[128]float32)(dst[128*h:])
		low, high := (*[64]byte)(block[64*h:]), (*[32]byte)(block[128+32*h:])
		for j, c := range high {
			s := (*[7]float32)(scales[8*h+j/16:])
			a, b := low[j], low[j+32]
			x[j] = s[0] * float32(int32(a&15|c&3<<4)-32)
			x[j+32] = s[2] * float32(int32(b&15|c>>2&3<<4)-32)
			x[j+64] = s[4] * float32(int32(a>>4|c>>4&3<<4)-32)
			x[j+96] = s[6] * float32(int32(b>>4|c>>6<<4)-32)
		}
	}
}

func encodeQ6_K(block []byte, src []float32) {
	x := (*[256]float32)(src)
	var codes [256]uint8
	var fitted [16]float32
	for i := range fitted {
		fitted[i] = fitSixes((*[16]float32)(x[16*i:]), (*[16]uint8)(codes[16*i:]))
	}
	widest := extreme(fitted[:])
	if abs(widest) < epsilon {
		clear(block)
		return
	}
	inverse := -128 / widest
	d := putHalf(block[208:], 1/inverse)
	for i, s := range fitted {
		code := int8(min(127, nearest(inverse*s)))
		block[192+i] = uint8(code)
		scale := d * float32(code)
		if scale == 0 {
			continue
		}
		for j, v := range x[16*i:][:16] {
			codes[16*i+j] = uint8(max(-32, min(31, nearest(v/scale))) + 32)
		}
	}
	for h := range 2 {
		low, high := (*[64]byte)(block[64*h:]), (*[32]byte)(block[128+32*h:])
		q := (*[128]uint8)(codes[128*h:])
		for j := range high {
			low[j] = q[j]&15 | q[j+64]<<4
			low[j+32] = q[j+32]&15 | q[j+96]<<4
			high[j] = q[j]>>4 | q[j+32]>>4<<2 | q[j+64]>>4<<4 | q[j+96]>>4<<6
		}
	}
}
