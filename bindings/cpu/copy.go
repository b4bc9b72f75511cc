package cpu

import (
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// copyPiece is the number of elements per goroutine and turn.
const copyPiece = 1 << 15

func (d *Device) zero(op *bindings.Zero) {
	b := bytesOf(op.T)
	d.rows(len(b), 4*copyPiece, func(from, to int) { clear(b[from:to]) })
}

// copy converts between float types with rounding to nearest even.
func (d *Device) copy(op *bindings.Copy) {
	dst, src := op.Dst, op.Src
	switch {
	case !dst.Contiguous() || !src.Contiguous():
		d.copyView(dst, src)
	case dst.DType == src.DType:
		from, to := bytesOf(src), bytesOf(dst)
		d.rows(len(to), 4*copyPiece, func(i, j int) { copy(to[i:j], from[i:j]) })
	default:
		d.rows(dst.Len(), copyPiece, func(from, to int) { convert(dst, from, src, from, to-from) })
	}
}

// copyView copies runs of columns that are adjacent in both tensors.
func (d *Device) copyView(dst, src bindings.Tensor) {
	to, _ := dst.Groups()
	from, _ := src.Groups()
	d.rows(dst.Rows, max(1, copyPiece/max(1, dst.Cols)), func(first, last int) {
		for t := first; t < last; t++ {
			for j := 0; j < dst.Cols; {
				n := min(to-j%to, from-j%from)
				convert(dst, t*dst.Stride()+dst.Column(j), src, t*src.Stride()+src.Column(j), n)
				j += n
			}
		}
	})
}

// convert copies n elements of src, from element j of its memory on, to dst, from
// element i on.
func convert(dst bindings.Tensor, i int, src bindings.Tensor, j, n int) {
	if dst.DType == src.DType {
		size := int(dst.DType.Size())
		copy(unsafe.Slice((*byte)(unsafe.Add(dst.Address(), i*size)), n*size), unsafe.Slice((*byte)(unsafe.Add(src.Address(), j*size)), n*size))
		return
	}
	vector.Convert(elementsOf(dst, i, n), elementsOf(src, j, n))
}

// narrow converts x to t's type and writes it to t's elements from first on.
func narrow(t bindings.Tensor, first int, x []float32) {
	switch t.DType {
	case bindings.BF16:
		vector.NarrowBF16(elements[uint16](t)[first:first+len(x)], x)
	case bindings.F16:
		vector.NarrowF16(elements[uint16](t)[first:first+len(x)], x)
	default:
		copy(f32(t)[first:], x)
	}
}
