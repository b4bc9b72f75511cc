package vector

// #include "vector.h"
import "C"

import "unsafe"

// An Epilogue is what a product's sums become before they are stored. Absent fields
// change nothing.
type Epilogue struct {
	Gain     []float32 // a factor of each column
	Bias     []float32 // a term of each column
	Residual Rows      // of the same shape and type as the result; may be the result
}

// Store computes y = sums·Gain + Bias + Residual and rounds to y's type once. The rows of
// sums are stride elements apart.
func Store(y Rows, sums []float32, stride int, e *Epilogue) {
	if y.count == 0 {
		return
	}
	enough(len(sums), (y.count-1)*stride+y.cols)
	for _, each := range [][]float32{e.Gain, e.Bias} {
		if each != nil {
			same(len(each), y.cols)
		}
	}
	if !e.Residual.absent() {
		y.like(e.Residual)
	}
	C.vector_store_sums(y.kind(), y.rows(), floats(sums), C.long(stride), floats(e.Gain), floats(e.Bias), e.Residual.rows(), C.long(y.count), C.long(y.cols))
}

// Thin adds a product with a few rows: sums[r][j] += sum over t of u[t][r]·x[t][j], with
// u in rows of rank elements and the rows of sums stride elements apart. An element is
// summed in order of t before it is added.
func Thin(sums []float32, stride int, u []float32, rank int, x Rows) {
	if rank == 0 || x.count == 0 {
		return
	}
	enough(len(sums), (rank-1)*stride+x.cols)
	enough(len(u), x.count*rank)
	C.vector_thin(floats(sums), C.long(stride), x.kind(), x.rows(), floats(u), C.long(rank), C.long(x.count), C.long(x.cols))
}

// Drop computes dst = dropout(x) for a block of rows from row and column on; column must
// be a multiple of 8. The rows of dst are stride elements apart.
func (d *Dropout) Drop(dst []float32, stride int, x Rows, row, column int) {
	d.drop(C.drop_set, dst, stride, x, row, column)
}

// DropAdd computes dst += dropout(x).
func (d *Dropout) DropAdd(dst []float32, stride int, x Rows, row, column int) {
	d.drop(C.drop_add, dst, stride, x, row, column)
}

// Lost computes dst = x - dropout(x).
func (d *Dropout) Lost(dst []float32, stride int, x Rows, row, column int) {
	d.drop(C.drop_lost, dst, stride, x, row, column)
}

func (d *Dropout) drop(mode C.int, dst []float32, stride int, x Rows, row, column int) {
	if x.count == 0 {
		return
	}
	same(column, column/8*8)
	enough(len(dst), (x.count-1)*stride+x.cols)
	C.vector_drop(floats(dst), C.long(stride), x.kind(), x.rows(), &d.c, C.uint32_t(column/8), C.uint32_t(row)+C.uint32_t(d.first), C.long(x.count), C.long(x.cols), mode)
}

// Floats returns count rows of cols float32 elements, stride elements apart.
func Floats(x []float32, count, cols, stride int) Rows {
	if count > 0 {
		enough(len(x), (count-1)*stride+cols)
	}
	return RowsAt(unsafe.Pointer(unsafe.SliceData(x)), F32, count, cols, stride)
}

// enough panics if C would exceed a slice.
func enough(have, need int) {
	if have < need {
		panic("vector: a slice is too short")
	}
}
