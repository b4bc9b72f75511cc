package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
	"qlora/internal/halffloat"
	"qlora/internal/nf4"
)

// slabFloats bounds the part of a weight that is held in float32 at a time: 16
// MiB, or one row where a row is longer.
const slabFloats = 4 << 20

// expandPiece is how many elements one goroutine expands at a time.
const expandPiece = 1 << 15

// slabRows is how many rows of w are expanded at a time.
func slabRows(w *bindings.Weight) int {
	return min(w.Out, max(1, slabFloats/max(1, w.In)))
}

// slabSize is the floats that expanding w takes: none for one in float32.
func slabSize(w *bindings.Weight) int {
	if w.Quantized == nil && w.Dense.DType == bindings.F32 {
		return 0
	}
	return slabRows(w) * w.In
}

// slabs walks the rows of w in float32, in order: do gets the rows [from, to),
// in slab unless w is in float32 already.
func (d *Device) slabs(w *bindings.Weight, slab []float32, do func(from, to int, rows matrix)) {
	if slabSize(w) == 0 {
		do(0, w.Out, dense(f32(w.Dense), w.In))
		return
	}
	step := slabRows(w)
	for from := 0; from < w.Out; from += step {
		to := min(w.Out, from+step)
		d.expand(slab[:(to-from)*w.In], w, from*w.In)
		do(from, to, dense(slab, w.In))
	}
}

// expand writes the elements of w from first on, row-major, to dst.
func (d *Device) expand(dst []float32, w *bindings.Weight, first int) {
	if w.Quantized == nil {
		d.rows(len(dst), expandPiece, func(from, to int) {
			widen(dst[from:to], w.Dense, first+from)
		})
		return
	}
	pairs := &allPairs[w.Quantized.Kind]
	d.rows(len(dst), expandPiece, func(from, to int) {
		dequantize(dst[from:to], w.Quantized, pairs, first+from)
	})
}

// widen writes t's elements from first on to dst, in float32.
func widen(dst []float32, t bindings.Tensor, first int) {
	switch t.DType {
	case bindings.F32:
		copy(dst, f32(t)[first:])
	case bindings.BF16:
		vector.WidenBF16(dst, elements[uint16](t)[first:first+len(dst)])
	case bindings.F16:
		halffloat.F16ToFloat32(dst, elements[uint16](t)[first:first+len(dst)])
	default:
		panic(fmt.Sprintf("cpu: %v read as numbers", t))
	}
}

// A codePairs is the two values of each byte of codes, the high nibble's first.
type codePairs [256][2]float32

var allPairs = [2]codePairs{nf4.NF4: newPairs(nf4.NF4), nf4.FP4: newPairs(nf4.FP4)}

func newPairs(kind nf4.Kind) (pairs codePairs) {
	values := kind.Codebook()
	for b := range pairs {
		pairs[b] = [2]float32{values[b>>4], values[b&15]}
	}
	return pairs
}

// dequantize writes q's elements from first on to dst: value · scale in float32.
func dequantize(dst []float32, q *bindings.Quantized, pairs *codePairs, first int) {
	codes := elements[uint8](q.Codes)
	for len(dst) > 0 {
		block := first / q.BlockSize
		n := min(len(dst), (block+1)*q.BlockSize-first)
		scaled(dst[:n], codes, pairs, first, scale(q, block))
		dst, first = dst[n:], first+n
	}
}

// scaled writes the elements from first on, all of one block, to dst.
func scaled(dst []float32, codes []uint8, pairs *codePairs, first int, scale float32) {
	if first%2 == 1 {
		dst[0] = pairs[codes[first/2]][1] * scale
		dst, first = dst[1:], first+1
	}
	codes = codes[first/2:]
	for len(dst) >= 2 && len(codes) > 0 {
		p := &pairs[codes[0]]
		dst[0], dst[1] = p[0]*scale, p[1]*scale
		dst, codes = dst[2:], codes[1:]
	}
	if len(dst) == 1 {
		dst[0] = pairs[codes[0]][0] * scale
	}
}

// scale is the absmax of a block. The product is rounded before the sum, as
// bitsandbytes' two steps round it.
func scale(q *bindings.Quantized, block int) float32 {
	if !q.Double() {
		return f32(q.Absmax)[block]
	}
	code := elements[uint8](q.AbsmaxCodes)[block]
	return float32(f32(q.Map)[code]*f32(q.NestedAbsmax)[block/q.NestedBlockSize]) + f32(q.Offset)[0]
}
