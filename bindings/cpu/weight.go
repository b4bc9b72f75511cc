package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// operandOfWeight returns w as an operand of kernels, [out, in].
func operandOfWeight(w *bindings.Weight) kernels.Operand {
	return operandOfCoded(w, new(kernels.Coded))
}

// operandOfCoded is operandOfWeight with c for the codes.
func operandOfCoded(w *bindings.Weight, c *kernels.Coded) kernels.Operand {
	if e := w.EightBit; e != nil {
		return kernels.Operand{Stride: w.In, EightBit: &kernels.EightBit{
			Codes: e.Codes.Address(), Scales: &elements[uint16](e.Scales)[0], BlockSize: e.BlockSize,
		}}
	}
	q := w.Quantized
	if q == nil {
		return operandOf(w.Dense)
	}
	*c = kernels.Coded{Codes: q.Codes.Address(), Values: *q.Kind.Codebook(), BlockSize: q.BlockSize}
	if q.Double() {
		c.AbsmaxCodes, c.Map = &elements[uint8](q.AbsmaxCodes)[0], &f32(q.Map)[0]
		c.NestedAbsmax, c.NestedBlockSize, c.Offset = &f32(q.NestedAbsmax)[0], q.NestedBlockSize, f32(q.Offset)[0]
	} else {
		c.Absmax = &f32(q.Absmax)[0]
	}
	return kernels.Operand{Stride: w.In, Coded: c}
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
