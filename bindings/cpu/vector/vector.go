// Package vector has inner loops, mainly exponentials, that Go's compiler does not
// vectorize and that would otherwise take as long as the matrix products. They are C
// with the compiler's vector types, in float32, compiled for AVX2 and for any other
// processor with bit-identical results.
//
// An element's result does not depend on its position; sums have a fixed order.
package vector

/*
#cgo CFLAGS: -O3 -Wno-psabi
#cgo noescape vector_max
#cgo nocallback vector_max
#cgo noescape vector_exp_sum
#cgo nocallback vector_exp_sum
#cgo noescape vector_probabilities
#cgo nocallback vector_probabilities
#cgo noescape vector_activate
#cgo nocallback vector_activate
#cgo noescape vector_activate_backward
#cgo nocallback vector_activate_backward
#cgo noescape vector_cap
#cgo nocallback vector_cap
#cgo noescape vector_scale
#cgo nocallback vector_scale
#cgo noescape vector_add
#cgo nocallback vector_add
#cgo noescape vector_sum
#cgo nocallback vector_sum
#cgo noescape vector_dequantize
#cgo nocallback vector_dequantize
#cgo noescape vector_dropout_factors
#cgo nocallback vector_dropout_factors
#cgo noescape vector_mask
#cgo nocallback vector_mask
#cgo noescape vector_add_mask
#cgo nocallback vector_add_mask
#cgo noescape vector_widen_bf16
#cgo nocallback vector_widen_bf16
#include "vector.h"
*/
import "C"

import (
	"math"
	"unsafe"

	"qlora/internal/philox"
)

// Max returns the largest of x: -Inf for an empty x, NaN if x has a NaN.
func Max(x []float32) float32 { return float32(C.vector_max(floats(x), C.long(len(x)))) }

// ExpSum replaces each x by e^(x - shift), within 2 ulp, and returns their sum.
func ExpSum(x []float32, shift float32) float64 {
	return float64(C.vector_exp_sum(floats(x), C.long(len(x)), C.float(shift)))
}

// Probabilities computes attention's backward: p becomes e^(p - lse) and dp becomes
// p·(dp - delta), element by element.
func Probabilities(p, dp []float32, lse, delta float32) {
	same(len(p), len(dp))
	C.vector_probabilities(floats(p), floats(dp), C.long(len(p)), C.float(lse), C.float(delta))
}

// A Function is an activation.
type Function C.int

// The activations with vector.c's numbers: x·sigmoid(x), x·Φ(x), its approximation by
// tanh, max(x, 0) and its square.
const (
	SiLU Function = iota
	GELU
	GELUTanh
	ReLU
	ReLUSquared
)

// Activate computes y = f(g)·u, or y = f(g) if u is nil.
func Activate(f Function, y, g, u []float32) {
	same(len(y), len(g))
	if u != nil {
		same(len(y), len(u))
	}
	C.vector_activate(C.int(f), floats(y), floats(g), floats(u), C.long(len(y)))
}

// ActivateBackward computes dg = dy·u·f'(g) and du = dy·f(g), or dg = dy·f'(g) if u and du
// are nil. Outputs may be inputs.
func ActivateBackward(f Function, dg, du, g, u, dy []float32) {
	same(len(dg), len(g), len(dy))
	if u != nil {
		same(len(dg), len(u), len(du))
	}
	C.vector_activate_backward(C.int(f), floats(dg), floats(du), floats(g), floats(u), floats(dy), C.long(len(dg)))
}

// Cap replaces each x by limit·tanh(x/limit).
func Cap(x []float32, limit float32) { C.vector_cap(floats(x), C.long(len(x)), C.float(limit)) }

// Scale multiplies each x by factor.
func Scale(x []float32, factor float32) { C.vector_scale(floats(x), C.long(len(x)), C.float(factor)) }

// Add adds term to each x.
func Add(x []float32, term float32) { C.vector_add(floats(x), C.long(len(x)), C.float(term)) }

// Sum returns the sum of x.
func Sum(x []float32) float64 { return float64(C.vector_sum(floats(x), C.long(len(x)))) }

// WidenBF16 converts src from bfloat16 to dst.
func WidenBF16(dst []float32, src []uint16) {
	same(len(dst), len(src))
	C.vector_widen_bf16(floats(dst), (*C.uint16_t)(unsafe.SliceData(src)), C.long(len(dst)))
}

// Dequantize expands whole blocks of 4-bit codes, two per byte, the first in the high
// nibble: dst[i] = values[code i]·scales[i/block]. block is a multiple of 8.
func Dequantize(dst []float32, codes []byte, values *[16]float32, scales []float32, block int) {
	same(len(dst), 2*len(codes), len(scales)*block, len(dst)/8*8)
	C.vector_dequantize(floats(dst), (*C.uint8_t)(unsafe.SliceData(codes)), C.long(len(dst)), floats(values[:]), floats(scales), C.long(block))
}

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

func floats(x []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }

// same panics if C would exceed a slice.
func same(n int, others ...int) {
	for _, m := range others {
		if m != n {
			panic("vector: slices of different lengths")
		}
	}
}
