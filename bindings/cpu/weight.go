package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// operandOfWeight returns w as an operand of kernels, [out, in].
func operandOfWeight(w *bindings.Weight) kernels.Operand {
	q := w.Quantized
	if q == nil {
		return operandOf(w.Dense)
	}
	c := &kernels.Coded{Codes: q.Codes.Address(), Values: *q.Kind.Codebook(), BlockSize: q.BlockSize}
	if q.Double() {
		c.AbsmaxCodes, c.Map = &elements[uint8](q.AbsmaxCodes)[0], &f32(q.Map)[0]
		c.NestedAbsmax, c.NestedBlockSize, c.Offset = &f32(q.NestedAbsmax)[0], q.NestedBlockSize, f32(q.Offset)[0]
	} else {
		c.Absmax = &f32(q.Absmax)[0]
	}
	return kernels.Operand{Stride: w.In, Coded: c}
}

// expand writes the elements of w from first on, row-major, to dst.
func expand(w *bindings.Weight, dst []float32, first int) {
	if w.Quantized == nil {
		widen(dst, w.Dense, first)
		return
	}
	dequantize(dst, w.Quantized, first)
}

// widen writes t's elements from first on to dst, in float32.
func widen(dst []float32, t bindings.Tensor, first int) {
	switch t.DType {
	case bindings.F32:
		copy(dst, f32(t)[first:])
	case bindings.BF16:
		vector.WidenBF16(dst, elements[uint16](t)[first:first+len(dst)])
	case bindings.F16:
		vector.WidenF16(dst, elements[uint16](t)[first:first+len(dst)])
	default:
		panic(fmt.Sprintf("cpu: %v read as numbers", t))
	}
}

// blocksAtOnce is the number of blocks whose scales are computed ahead.
const blocksAtOnce = 64

// dequantize writes q's elements from first on to dst: value · scale in float32. dst may
// begin and end inside a block.
func dequantize(dst []float32, q *bindings.Quantized, first int) {
	values, codes, scales := q.Kind.Codebook(), elements[uint8](q.Codes), newScales(q)
	var ahead [blocksAtOnce]float32
	for len(dst) > 0 {
		block, whole := first/q.BlockSize, len(dst)/q.BlockSize
		if first%q.BlockSize != 0 || whole == 0 || q.BlockSize%8 != 0 {
			n := min(len(dst), (block+1)*q.BlockSize-first)
			scaled(dst[:n], codes, values, first, scales.at(block))
			dst, first = dst[n:], first+n
			continue
		}
		whole = min(whole, blocksAtOnce)
		for i := range whole {
			ahead[i] = scales.at(block + i)
		}
		n := whole * q.BlockSize
		vector.Dequantize(dst[:n], codes[first/2:(first+n)/2], values, ahead[:whole], q.BlockSize)
		dst, first = dst[n:], first+n
	}
}

// scaled writes the elements from first on, all of one block, to dst.
func scaled(dst []float32, codes []uint8, values *[16]float32, first int, scale float32) {
	for i := range dst {
		at := first + i
		dst[i] = values[codes[at/2]>>(4*(1-at%2))&15] * scale
	}
}

// scales holds the absmax of a weight's blocks.
type scales struct {
	absmax []float32 // without double quantization

	codes  []uint8
	nested []float32
	size   int // codes that share a nested scale
	values []float32
	offset float32
}

func newScales(q *bindings.Quantized) scales {
	if !q.Double() {
		return scales{absmax: f32(q.Absmax)}
	}
	return scales{
		codes: elements[uint8](q.AbsmaxCodes), nested: f32(q.NestedAbsmax), size: q.NestedBlockSize,
		values: f32(q.Map), offset: f32(q.Offset)[0],
	}
}

// at returns the scale of a block. It rounds the product before the sum, as bitsandbytes'
// two steps do.
func (s *scales) at(block int) float32 {
	if s.absmax != nil {
		return s.absmax[block]
	}
	return float32(s.values[s.codes[block]]*s.nested[block/s.size]) + s.offset
}
