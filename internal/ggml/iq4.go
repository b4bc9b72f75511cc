package ggml

import "encoding/binary"

// iq4 has the values of the 16 codes of IQ4_NL and IQ4_XS, which lie closer near zero.
var iq4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// IQ4_NL is a scale d and 32 codes of 4 bits, x = d·iq4[q].
//
//	d [2]byte, codes as in Q4_0
func decodeIQ4_NL(dst []float32, block []byte) {
	decodeNibbles((*[32]float32)(dst), (*[16]byte)(block[2:]), scaled(&iq4, half(block)))
}

// IQ4_XS is a scale d and eight times 32 codes with a scale of 6 bits, x = d·(s - 32)·iq4[q].
//
//	d [2]byte, high uint16, low [4]byte, codes [8][16]byte as in Q4_0: scale i has the
//	4 bits i of low and the 2 bits i of high
func decodeIQ4_XS(dst []float32, block []byte) {
	for i, s := range IQ4XSScales(block) {
		decodeNibbles((*[32]float32)(dst[32*i:]), (*[16]byte)(block[8+16*i:]), scaled(&iq4, s))
	}
}

// IQ4XSScales returns the eight scales d·(s - 32) of a block of IQ4_XS.
func IQ4XSScales(block []byte) (scales [8]float32) {
	d, high := half(block), binary.LittleEndian.Uint16(block[2:])
	for i := range scales {
		s := int(block[4+i/2]>>(4*(i%2))&15) | int(high>>(2*i)&3)<<4
		scales[i] = d * float32(s-32)
	}
	return scales
}

// iq4Codes has the code of the value nearest to x, the larger of two, at 2·x rounded down, plus
// 254: the limits between the codes are multiples of 1/2.
var iq4Codes = func() (codes [2 * (127 + 113)]uint8) {
	code := 0
	for i := range codes {
		for twice := float32(i - 254); code < 15 && twice >= iq4[code]+iq4[code+1]; {
			code++
		}
		codes[i] = uint8(code)
	}
	return codes
}()

// nearestIQ4 returns the code whose value is nearest to x, the larger of two.
func nearestIQ4(x float32) uint8 {
	if x > iq4[0] && x < iq4[15] {
		twice := 2 * x
		n := int32(twice)
		if float32(n) > twice {
			n--
		}
		return iq4Codes[n+254]
	}
	if x <= iq4[0] {
		return 0
	}
	return 15 // a NaN, too
}

// fitIQ4 returns the scale d of least squared error of x ≈ d·iq4[q], weighted by the squares of x.
func fitIQ4(x *[32]float32) float32 {
	widest := extreme(x[:])
	if abs(widest) < epsilon {
		return 0
	}
	moments := func(inverse float32) (qx, q2 float32) {
		for _, v := range x {
			q := iq4[nearestIQ4(inverse*v)]
			wq := float32(v*v) * q
			qx += float32(wq * v)
			q2 += float32(wq * q)
		}
		return qx, q2
	}
	var d float32
	qx, q2 := moments(1 / (-widest / iq4[0]))
	if q2 > 0 {
		d = qx / q2
	}
	best := float32(d * qx)
	for try := -7; try <= 7; try++ {
		qx, q2 := moments((float32(try) + iq4[0]) / widest)
		if q2 > 0 && float32(qx*qx) > float32(best*q2) {
			d = qx / q2
			best = float32(d * qx)
		}
	}
	return d
}

func encodeIQ4_NL(block []byte, src []float32) {
	x := (*[32]float32)(src)
	d := fitIQ4(x)
	putHalf(block, d)
	encodeIQ4((*[16]byte)(block[2:]), x, reciprocal(d))
}

func encodeIQ4_XS(block []byte, src []float32) {
	var fitted [8]float32
	for i := range fitted {
		fitted[i] = fitIQ4((*[32]float32)(src[32*i:]))
	}
	d := -extreme(fitted[:]) / 32
	putHalf(block, d)
	inverse := reciprocal(d)
	var high uint16
	clear(block[4:8])
	for i, scale := range fitted {
		s := max(-32, min(31, nearest(inverse*scale)))
		encodeIQ4((*[16]byte)(block[8+16*i:]), (*[32]float32)(src[32*i:]), reciprocal(d*float32(s)))
		code := uint8(s + 32)
		block[4+i/2] |= code & 15 << (i % 2 * 4)
		high |= uint16(code>>4) << (2 * i)
	}
	binary.LittleEndian.PutUint16(block[2:], high)
}

// encodeIQ4 writes the codes of x at a scale of 1/inverse.
func encodeIQ4(codes *[16]byte, x *[32]float32, inverse float32) {
	for j := range codes {
		codes[j] = nearestIQ4(inverse*x[j]) | nearestIQ4(inverse*x[j+16])<<4
	}
}
