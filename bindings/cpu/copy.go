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
	case !op.Rows.Absent():
		d.copyRows(op)
	case !dst.Contiguous() || !src.Contiguous():
		d.copyView(dst, src)
	case dst.DType == src.DType:
		from, to := bytesOf(src), bytesOf(dst)
		d.rows(len(to), 4*copyPiece, func(i, j int) { copy(to[i:j], from[i:j]) })
	default:
		d.rows(dst.Len(), copyPiece, func(from, to int) { convert(dst, from, src, from, 1, to-from) })
	}
}

// transfer copies at once: all memory is the host's.
func (d *Device) transfer(op *bindings.Transfer) {
	from, to := bytesOf(op.Src), bytesOf(op.Dst)
	d.rows(len(to), 4*copyPiece, func(i, j int) { copy(to[i:j], from[i:j]) })
}

func (*Device) await(*bindings.Await) {}

// copyRows copies each row to its place.
func (d *Device) copyRows(op *bindings.Copy) {
	rows := elements[int32](op.Rows)
	if !d.known("copy", rows, op.Dst.Rows) {
		return
	}
	for i, row := range rows {
		d.copyView(op.Dst.Slice(int(row), int(row)+1), op.Src.Slice(i, i+1))
	}
}

// copyView copies runs of columns that are adjacent in both tensors, of all rows of a piece
// at a time.
func (d *Device) copyView(dst, src bindings.Tensor) {
	d.rows(dst.Rows, max(1, copyPiece/max(1, dst.Cols)), func(first, last int) { copyColumns(dst, first, src, first, last-first) })
}

// copyColumns copies rows of src, from row from on, to those of dst, from row to on.
func copyColumns(dst bindings.Tensor, to int, src bindings.Tensor, from, rows int) {
	wide, _ := dst.Groups()
	narrow, _ := src.Groups()
	for j := 0; j < dst.Cols; {
		n := min(wide-j%wide, narrow-j%narrow)
		convert(dst, to*dst.Stride()+dst.Column(j), src, from*src.Stride()+src.Column(j), rows, n)
		j += n
	}
}

// convert copies n elements of each of several rows of src, from element j of its memory
// on, to dst, from element i on.
func convert(dst bindings.Tensor, i int, src bindings.Tensor, j, rows, n int) {
	size := dst.DType.Size()
	to, from := unsafe.Add(dst.Address(), int64(i)*size), unsafe.Add(src.Address(), int64(j)*src.DType.Size())
	if dst.DType != src.DType {
		vector.Convert(vector.RowsAt(to, types[dst.DType], rows, n, dst.Stride()), vector.RowsAt(from, types[src.DType], rows, n, src.Stride()))
		return
	}
	for range rows {
		copy(unsafe.Slice((*byte)(to), int64(n)*size), unsafe.Slice((*byte)(from), int64(n)*size))
		to, from = unsafe.Add(to, int64(dst.Stride())*size), unsafe.Add(from, int64(src.Stride())*size)
	}
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
