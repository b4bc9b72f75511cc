package philox

import "math"

// Dropout draws the masks of dropout: whether an element of a [tokens, features]
// activation is kept is a function of the seed, the step, the stream (the layer) and the
// element's row and column. Eight columns share a block:
//
//	lane = 16 bits number col%8 of Block(Key(seed), {col/8, row, stream, step})
//	keep = lane >= round(65536·p)
//
// The lanes are the low and then the high half of each of the block's four numbers. Kept
// elements are multiplied by Scale.
type Dropout struct {
	key       [2]uint32
	stream    uint32
	step      uint32
	threshold uint32
	Scale     float32 // 1 / (1 - p)
}

// NewDropout returns the masks of one layer and step, which drop with probability p in
// [0, 1).
func NewDropout(seed uint64, stream, step uint32, p float32) Dropout {
	threshold := uint32(math.Round(65536 * float64(p)))
	return Dropout{
		key: Key(seed), stream: stream, step: step, threshold: threshold,
		Scale: float32(65536 / float64(65536-threshold)),
	}
}

// Apply writes dropout(src) to dst. Both are a row, starting at column 0.
func (d *Dropout) Apply(dst, src []float32, row int) {
	keep := [2]float32{0, d.Scale}
	dst = dst[:len(src)]
	col := 0
	for ; col+8 <= len(src); col += 8 {
		b := Block(d.key, [4]uint32{uint32(col / 8), uint32(row), d.stream, d.step})
		s, t := src[col:col+8:col+8], dst[col:col+8:col+8]
		t[0], t[1] = s[0]*keep[d.kept(b[0])], s[1]*keep[d.kept(b[0]>>16)]
		t[2], t[3] = s[2]*keep[d.kept(b[1])], s[3]*keep[d.kept(b[1]>>16)]
		t[4], t[5] = s[4]*keep[d.kept(b[2])], s[5]*keep[d.kept(b[2]>>16)]
		t[6], t[7] = s[6]*keep[d.kept(b[3])], s[7]*keep[d.kept(b[3]>>16)]
	}
	if col < len(src) {
		b := Block(d.key, [4]uint32{uint32(col / 8), uint32(row), d.stream, d.step})
		for i, x := range src[col:] {
			dst[col+i] = x * keep[d.kept(b[i/2]>>(16*(i%2)))]
		}
	}
}

// kept returns 1 if the low 16 bits reach the threshold, else 0, without a branch: at p
// near 0.5 branch prediction would fail half the time.
func (d *Dropout) kept(lane uint32) uint32 {
	return (((lane & 0xffff) - d.threshold) >> 31) ^ 1
}

// Threshold returns the smallest 16-bit lane of a kept element.
func (d *Dropout) Threshold() uint32 { return d.threshold }
