package vector

// #include "vector.h"
import "C"

import "qlora/internal/philox"

// Dropout draws the same masks as package philox's Dropout, eight blocks at a time.
type Dropout struct {
	c     C.struct_dropout
	first uint32
}

// From returns d with rows counted from first on.
func (d Dropout) From(first uint32) Dropout { return Dropout{d.c, d.first + first} }

// NewDropout returns the dropout of one stream and step with probability p in [0, 1).
func NewDropout(seed uint64, stream, step uint32, p float32) Dropout {
	d := philox.NewDropout(seed, stream, step, p)
	return Dropout{c: C.struct_dropout{
		key: keyOf(seed), stream: C.uint32_t(stream), step: C.uint32_t(step),
		threshold: C.uint32_t(d.Threshold()), scale: C.float(d.Scale),
	}}
}

func keyOf(seed uint64) [2]C.uint32_t {
	k := philox.Key(seed)
	return [2]C.uint32_t{C.uint32_t(k[0]), C.uint32_t(k[1])}
}

// Factors writes the factor of each element of a row to dst: 0 or Scale.
func (d *Dropout) Factors(dst []float32, row int) { d.FactorsFrom(dst, row, 0) }

// FactorsFrom writes the factors from column col on; col must be a multiple of 8.
func (d *Dropout) FactorsFrom(dst []float32, row, col int) {
	same(col, col/8*8)
	C.vector_dropout_factors(floats(dst), C.long(len(dst)), &d.c, C.uint32_t(col/8), C.uint32_t(row)+C.uint32_t(d.first))
}

// Mask computes dst = x·factors; dst may be x or factors.
func Mask(dst, x, factors []float32) {
	same(len(dst), len(x), len(factors))
	C.vector_mask(floats(dst), floats(x), floats(factors), C.long(len(dst)))
}

// AddMask computes dst += x·factors.
func AddMask(dst, x, factors []float32) {
	same(len(dst), len(x), len(factors))
	C.vector_add_mask(floats(dst), floats(x), floats(factors), C.long(len(dst)))
}

// AddBranch computes y = residual + scale·dropout(x), or without a residual if it is
// absent, and without dropout if d is nil. row is the number of the first row. y may be x
// or the residual.
func AddBranch(y, x, residual Rows, scale float32, d *Dropout, row int) {
	y.like(x)
	if !residual.absent() {
		y.like(residual)
	}
	rows, cols, draw := C.long(y.count), C.long(y.cols), (*C.struct_dropout)(nil)
	if d != nil {
		draw, row = &d.c, row+int(d.first)
	} else {
		rows, cols = y.shape(x, residual)
	}
	C.vector_add_branch(y.kind(), y.rows(), x.rows(), residual.rows(), rows, cols, C.float(scale), draw, C.uint32_t(row))
}
