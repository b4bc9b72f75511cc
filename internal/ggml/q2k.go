package ggml

// Q2_K is 16 times 16 codes of 2 bits with a scale and a minimum of 4 bits each, and a scale for
// the scales and one for the minima: x = d·s·q - dmin·m.
//
//	scales [16]byte, codes [64]byte, d [2]byte, dmin [2]byte: s below m; byte j of the first
//	32 codes has elements j, j+32, j+64 and j+96, the first lowest
func decodeQ2_K(dst []float32, block []byte) {
	d, dmin := half(block[80:]), half(block[82:])
	for i, s := range (*[16]byte)(block) {
		scale, low := d*float32(s&15), dmin*float32(s>>4)
		var values [4]float32
		for q := range values {
			values[q] = float32(scale*float32(q)) - low
		}
		x, codes := (*[16]float32)(dst[16*i:]), (*[16]byte)(block[16+i/8*32+i%2*16:])
		shift := i / 2 % 4 * 2
		for j, c := range codes {
			x[j] = values[c>>shift&3]
		}
	}
}

func encodeQ2_K(block []byte, src []float32) {
	x := (*[256]float32)(src)
	var codes [256]uint8
	var scales, lows [16]float32
	for i := range 16 {
		part := x[16*i:][:16]
		var weights [16]float32
		for j, v := range part {
			weights[j] = abs(v)
		}
		scales[i], lows[i] = q2Search.fit(part, weights[:], codes[16*i:][:16])
	}
	s, d := quantizeScales(&scales, 15)
	m, dmin := quantizeScales(&lows, 15)
	d, dmin = putHalf(block[80:], d), putHalf(block[82:], dmin)
	for i := range 16 {
		block[i] = s[i] | m[i]<<4
		quantizeGroup(codes[16*i:][:16], x[16*i:][:16], d*float32(s[i]&15), dmin*float32(m[i]), 3)
	}
	packTwos((*[64]byte)(block[16:]), &codes)
}

// quantizeScales returns codes from 0 to most for scales that are not negative, and what they
// multiply.
func quantizeScales(scales *[16]float32, most float32) (codes [16]uint8, d float32) {
	var largest float32
	for _, s := range scales {
		if s > largest {
			largest = s
		}
	}
	if largest <= 0 {
		return codes, 0
	}
	inverse := most / largest
	for i, s := range scales {
		codes[i] = uint8(nearest(inverse * s))
	}
	return codes, largest / most
}

// packTwos stores the low 2 bits of 256 codes.
func packTwos(packed *[64]byte, q *[256]uint8) {
	for h := range 2 {
		for j := range 32 {
			i := 128*h + j
			packed[32*h+j] = q[i] | q[i+32]<<2 | q[i+64]<<4 | q[i+96]<<6
		}
	}
}
