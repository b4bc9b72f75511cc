package vector

// #include "vector.h"
import "C"

import "unsafe"

// A Type is the type of elements. The numbers are vector.h's.
type Type uint8

// The types of elements.
const (
	F32 Type = iota
	BF16
	F16
)

// Rows are rows of elements of one type, for example activations. The zero value is
// absent.
type Rows struct {
	first               unsafe.Pointer
	count, cols, stride int
	dtype               Type
}

// RowsAt returns count rows of cols elements each, stride elements apart, from first on.
func RowsAt(first unsafe.Pointer, dtype Type, count, cols, stride int) Rows {
	return Rows{first: first, dtype: dtype, count: count, cols: cols, stride: stride}
}

// Cols returns the number of columns.
func (x Rows) Cols() int { return x.cols }

// Count returns the number of rows.
func (x Rows) Count() int { return x.count }

// Slice returns the rows [from, to); absent if x is.
func (x Rows) Slice(from, to int) Rows {
	if x.absent() {
		return x
	}
	if from < 0 || to < from || to > x.count {
		panic("vector: rows out of range")
	}
	return x.at(from*x.stride, to-from, x.cols)
}

// Columns returns the columns [from, to) of all rows; absent if x is.
func (x Rows) Columns(from, to int) Rows {
	if x.absent() {
		return x
	}
	if from < 0 || to < from || to > x.cols {
		panic("vector: columns out of range")
	}
	return x.at(from, x.count, to-from)
}

// Every returns every step-th row from the first-th on.
func (x Rows) Every(first, step int) Rows {
	y := x.Slice(first, x.count)
	y.count, y.stride = (y.count+step-1)/step, x.stride*step
	return y
}

// at returns rows from the element i on.
func (x Rows) at(i, count, cols int) Rows {
	size := 2
	if x.dtype == F32 {
		size = 4
	}
	x.first = unsafe.Add(x.first, i*size)
	x.count, x.cols = count, cols
	return x
}

func (x Rows) absent() bool { return x.first == nil }

func (x Rows) kind() C.int { return C.int(x.dtype) }

func (x Rows) rows() C.struct_rows {
	return C.struct_rows{first: (*C.uint8_t)(x.first), stride: C.long(x.stride)}
}

// shape returns the rows and columns to loop over: one long row if none of x and the
// others has gaps. Absent ones have none.
func (x Rows) shape(others ...Rows) (rows, cols C.long) {
	whole := x.whole()
	for _, y := range others {
		whole = whole && (y.absent() || y.whole())
	}
	if whole {
		return 1, C.long(x.count * x.cols)
	}
	return C.long(x.count), C.long(x.cols)
}

func (x Rows) whole() bool { return x.stride == x.cols || x.count <= 1 }

// length returns the number of elements. It panics if there are gaps between rows.
func (x Rows) length() C.long {
	if !x.whole() {
		panic("vector: rows with gaps")
	}
	return C.long(x.count * x.cols)
}

// like panics if y's shape or type differs.
func (x Rows) like(y Rows) {
	if x.count != y.count || x.cols != y.cols || x.dtype != y.dtype {
		panic("vector: rows of different shapes or types")
	}
}

// Convert copies src to dst of the same shape and converts between types: a narrower
// type's results are rounded to nearest even, and a NaN stays one.
func Convert(dst, src Rows) {
	same(dst.count, src.count)
	same(dst.cols, src.cols)
	rows, cols := dst.shape(src)
	C.vector_convert(dst.kind(), dst.rows(), src.kind(), src.rows(), rows, cols)
}

// WidenBF16 converts src from bfloat16 to dst.
func WidenBF16(dst []float32, src []uint16) { Convert(rowOf(dst, F32), rowOf(src, BF16)) }

// NarrowBF16 converts src to bfloat16, rounded to nearest even; a NaN stays one.
func NarrowBF16(dst []uint16, src []float32) { Convert(rowOf(dst, BF16), rowOf(src, F32)) }

// WidenF16 converts src from binary16 to dst.
func WidenF16(dst []float32, src []uint16) { Convert(rowOf(dst, F32), rowOf(src, F16)) }

// NarrowF16 converts src to binary16, rounded to nearest even; a NaN stays one.
func NarrowF16(dst []uint16, src []float32) { Convert(rowOf(dst, F16), rowOf(src, F32)) }

// AddScaled computes dst += factor·x.
func AddScaled(dst []float32, factor float32, x []float32) {
	same(len(dst), len(x))
	C.vector_add_scaled(floats(dst), C.float(factor), floats(x), C.long(len(dst)))
}

func rowOf[T float32 | uint16](x []T, dtype Type) Rows {
	return Rows{first: unsafe.Pointer(unsafe.SliceData(x)), dtype: dtype, count: 1, cols: len(x), stride: len(x)}
}
