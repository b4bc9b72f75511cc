package cpu

import (
	"qlora/bindings"
	"qlora/internal/halffloat"
)

// copyPiece is how many elements one goroutine takes at a time.
const copyPiece = 1 << 15

// Zero clears t.
func (d *Device) Zero(t bindings.Tensor) {
	b := bytesOf(t)
	d.rows(len(b), 4*copyPiece, func(from, to int) { clear(b[from:to]) })
}

// Copy copies src to dst; between types of numbers it rounds to nearest even.
func (d *Device) Copy(dst, src bindings.Tensor) {
	if !d.ready(bindings.CheckCopy(dst, src), nil) {
		return
	}
	if dst.DType == src.DType {
		from := bytesOf(src)
		to := bytesOf(dst)
		d.rows(len(to), 4*copyPiece, func(i, j int) { copy(to[i:j], from[i:j]) })
		return
	}
	d.rows(dst.Len(), copyPiece, func(from, to int) {
		var block [512]float32
		for ; from < to; from += len(block) {
			x := block[:min(len(block), to-from)]
			widen(x, src, from)
			narrow(dst, from, x)
		}
	})
}

// narrow writes x to t's elements from first on.
func narrow(t bindings.Tensor, first int, x []float32) {
	switch t.DType {
	case bindings.BF16:
		halffloat.Float32ToBF16(elements[uint16](t)[first:first+len(x)], x)
	case bindings.F16:
		halffloat.Float32ToF16(elements[uint16](t)[first:first+len(x)], x)
	default:
		copy(f32(t)[first:], x)
	}
}
