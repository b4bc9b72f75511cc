package vector

// #include "vector.h"
import "C"

import (
	"math"

	"qlora/internal/philox"
)

// Dropout draws the same masks as package philox's Dropout, eight blocks at a time.
type Dropout struct {
	key                     [2]uint32
	stream, step, threshold uint32
	scale                   float32
}

// NewDropout returns the dropout of one stream and step with probability p in [0, 1).
func NewDropout(seed uint64, stream, step uint32, p float32) Dropout {
	d := philox.NewDropout(seed, stream, step, p)
	return Dropout{
		key: philox.Key(seed), stream: stream, step: step,
		threshold: uint32(math.Round(65536 * float64(p))), scale: d.Scale,
	}
}

// Factors writes the factor of each element of a row to dst: 0 or Scale.
func (d *Dropout) Factors(dst []float32, row int) { d.FactorsFrom(dst, row, 0) }

// FactorsFrom writes the factors from column col on; col must be a multiple of 8.
func (d *Dropout) FactorsFrom(dst []float32, row, col int) {
	same(col, col/8*8)
	C.vector_dropout_factors(floats(dst), C.long(len(dst)), (*C.uint32_t)(&d.key[0]), C.uint32_t(col/8), C.uint32_t(row),
		C.uint32_t(d.stream), C.uint32_t(d.step), C.uint32_t(d.threshold), C.float(d.scale))
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
