package ggml

// Q3_K is 16 times 16 codes of 3 bits with a scale of 6 bits, and a scale for the scales:
// x = d·(s - 32)·(q - 4).
//
//	high [32]byte, low [64]byte, scales [12]byte, d [2]byte: bit i of high's byte j is the
//	third bit of element 32·i+j; low is as the codes of Q2_K
func decodeQ3_K(dst []float32, block []byte) {
	d := half(block[108:])
	high := (*[32]byte)(block)
	scales := unpackSixteen((*[12]byte)(block[96:]))
	for i, s := range scales {
		scale := d * float32(int(s)-32)
		var values [8]float32
		for q := range values {
			values[q] = scale * float32(q-4)
		}
		x, low := (*[16]float32)(dst[16*i:]), (*[16]byte)(block[32+i/8*32+i%2*16:])
		shift, bit := i/2%4*2, i/2
		for j, c := range low {
			x[j] = values[c>>shift&3|high[i%2*16+j]>>bit&1<<2]
		}
	}
}

// unpackSixteen returns the 16 scales of Q3_K. Byte i of the first 8 has the low 4 bits of scale
// i and of scale i+8; byte 8+i has the high 2 bits of scales i, i+4, i+8 and i+12.
func unpackSixteen(packed *[12]byte) (scales [16]uint8) {
	for i := range scales {
		scales[i] = packed[i%8]>>(i/8*4)&15 | packed[8+i%4]>>(i/4*2)&3<<4
	}
	return scales
}

func packSixteen(packed *[12]byte, scales *[16]uint8) {
	*packed = [12]byte{}
	for i, s := range scales {
		packed[i%8] |= s & 15 << (i / 8 * 4)
		packed[8+i%4] |= s >> 4 << (i / 4 * 2)
	}
}

func encodeQ3_K(block []byte, src []float32) {
	x := (*[256]float32)(src)
	var codes [256]uint8
	var fitted [16]float32
	for i := range fitted {
		fitted[i] = fitThrees((*[16]float32)(x[16*i:]), (*[16]uint8)(codes[16*i:]))
	}
	var scales [16]uint8
	var d float32
	if widest := extreme(fitted[:]); widest != 0 {
		inverse := -32 / widest
		for i, s := range fitted {
			scales[i] = uint8(max(-32, min(31, int8(nearest(inverse*s)))) + 32)
		}
		packSixteen((*[12]byte)(block[96:]), &scales)
		d = 1 / inverse
	} else {
		clear(block[96:108])
	}
	d = putHalf(block[108:], d)
	scales = unpackSixteen((*[12]byte)(block[96:]))
	for i, s := range scales {
		scale := d * float32(int(s)-32)
		if scale == 0 {
			continue
		}
		for j, v := range x[16*i:][:16] {
			codes[16*i+j] = uint8(max(-4, min(3, nearest(v/scale))) + 4)
		}
	}
	high := (*[32]byte)(block)
	*high = [32]byte{}
	for i, q := range codes {
		high[i%32] |= q >> 2 << (i / 32)
		codes[i] = q & 3
	}
	packTwos((*[64]byte)(block[32:]), &codes)
}
