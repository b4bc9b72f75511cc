package ggml

import "math"

// Q4_K is eight times 32 codes of 4 bits with a scale and a minimum of 6 bits each, and a scale
// for the scales and one for the minima: x = d·s·q - dmin·m.
//
//	d [2]byte, dmin [2]byte, scales [12]byte, codes [4][32]byte: byte j has element j of a
//	group below element j of the next
func decodeQ4_K(dst []float32, block []byte) {
	d, dmin := half(block), half(block[2:])
	s, m := unpackEights((*[12]byte)(block[4:]))
	for i := 0; i < 8; i += 2 {
		low := ramp(d*float32(s[i]), dmin*float32(m[i]))
		high := ramp(d*float32(s[i+1]), dmin*float32(m[i+1]))
		x, codes := (*[64]float32)(dst[32*i:]), (*[32]byte)(block[16+16*i:])
		for j, c := range codes {
			x[j] = low[c&15]
			x[j+32] = high[c>>4]
		}
	}
}

// ramp returns scale·q - low for q from 0 to 15.
func ramp(scale, low float32) *[16]float32 {
	var values [16]float32
	for q := range values {
		values[q] = float32(scale*float32(q)) - low
	}
	return &values
}

// unpackEights returns the eight scales and minima of Q4_K and Q5_K. The low 6 bits of bytes 0 to
// 3 are scales 0 to 3, those of bytes 4 to 7 are minima 0 to 3. Byte 8+i has the low 4 bits of
// scale 4+i below those of minimum 4+i, whose high 2 bits are on top of bytes i and 4+i.
func unpackEights(packed *[12]byte) (scales, lows [8]uint8) {
	for i := range 4 {
		scales[i], lows[i] = packed[i]&63, packed[4+i]&63
		scales[4+i] = packed[8+i]&15 | packed[i]>>6<<4
		lows[4+i] = packed[8+i]>>4 | packed[4+i]>>6<<4
	}
	return scales, lows
}

func packEights(packed *[12]byte, scales, lows *[8]uint8) {
	for i := range 4 {
		packed[i] = scales[i] | scales[4+i]>>4<<6
		packed[4+i] = lows[i] | lows[4+i]>>4<<6
		packed[8+i] = scales[4+i]&15 | lows[4+i]<<4
	}
}

func encodeQ4_K(block []byte, src []float32) {
	var codes [256]uint8
	encodeEights(block, src, &codes, &q4Search)
	for i := 0; i < 8; i += 2 {
		packed, pair := (*[32]byte)(block[16+16*i:]), (*[64]uint8)(codes[32*i:])
		for j := range packed {
			packed[j] = pair[j] | pair[j+32]<<4
		}
	}
}

// encodeEights writes what Q4_K and Q5_K have in common, the scales and the minima, and returns
// the codes.
func encodeEights(block []byte, src []float32, codes *[256]uint8, search *search) {
	x := (*[256]float32)(src)
	var scales, lows [8]float32
	var largest, lowest float32
	for i := range scales {
		part := (*[32]float32)(x[32*i:])
		var squares float32
		for _, v := range part {
			squares += float32(v * v)
		}
		average := float32(math.Sqrt(float64(squares / 32)))
		var weights [32]float32
		for j, v := range part {
			weights[j] = average + abs(v)
		}
		scales[i], lows[i] = search.fit(part[:], weights[:], codes[32*i:][:32])
		if scales[i] > largest {
			largest = scales[i]
		}
		if lows[i] > lowest {
			lowest = lows[i]
		}
	}
	var inverse, inverseLow float32
	if largest > 0 {
		inverse = 63 / largest
	}
	if lowest > 0 {
		inverseLow = 63 / lowest
	}
	var s, m [8]uint8
	for i := range s {
		s[i] = min(63, uint8(nearest(inverse*scales[i])))
		m[i] = min(63, uint8(nearest(inverseLow*lows[i])))
	}
	packEights((*[12]byte)(block[4:]), &s, &m)
	d, dmin := putHalf(block, largest/63), putHalf(block[2:], lowest/63)
	for i := range s {
		quantizeGroup(codes[32*i:][:32], x[32*i:][:32], d*float32(s[i]), dmin*float32(m[i]), search.most)
	}
}

// quantizeGroup writes the codes of x at a scale and a minimum. A scale of 0 keeps the codes.
func quantizeGroup(codes []uint8, x []float32, scale, low float32, most int32) {
	if scale == 0 {
		return
	}
	for j, v := range x {
		codes[j] = uint8(max(0, min(most, nearest((v+low)/scale))))
	}
}
