// Package vector has inner loops that Go's compiler does not vectorize: exponentials,
// conversions, sums and whatever else an operation does element by element. They are C
// with the compiler's vector types (a file a subject, compiled for AVX-512, AVX2 and any
// other processor), and compute in float32.
//
// All processors give the same bits: nothing fuses multiply and add, an element's result
// does not depend on its position, and sums have a fixed order. bfloat16 and binary16
// results are rounded once, to nearest even.
package vector

/*
#cgo CFLAGS: -O3 -Wno-psabi
#cgo LDFLAGS: -lm
#cgo noescape vector_convert
#cgo nocallback vector_convert
#cgo noescape vector_add_scaled
#cgo nocallback vector_add_scaled
#cgo noescape vector_max
#cgo nocallback vector_max
#cgo noescape vector_sum
#cgo nocallback vector_sum
#cgo noescape vector_dot
#cgo nocallback vector_dot
#cgo noescape vector_exp_sum
#cgo nocallback vector_exp_sum
#cgo noescape vector_cap
#cgo nocallback vector_cap
#cgo noescape vector_scale
#cgo nocallback vector_scale
#cgo noescape vector_add
#cgo nocallback vector_add
#cgo noescape vector_activate
#cgo nocallback vector_activate
#cgo noescape vector_activate_backward
#cgo nocallback vector_activate_backward
#cgo noescape vector_dropout_factors
#cgo nocallback vector_dropout_factors
#cgo noescape vector_add_branch
#cgo nocallback vector_add_branch
#cgo noescape vector_embed
#cgo nocallback vector_embed
#cgo noescape vector_embed_backward
#cgo nocallback vector_embed_backward
#cgo noescape vector_norm
#cgo nocallback vector_norm
#cgo noescape vector_norm_backward
#cgo nocallback vector_norm_backward
#cgo noescape vector_norm_weight_backward
#cgo nocallback vector_norm_weight_backward
#cgo noescape vector_sum_rows
#cgo nocallback vector_sum_rows
#cgo noescape vector_rope
#cgo nocallback vector_rope
#cgo noescape vector_clamp
#cgo nocallback vector_clamp
#cgo noescape vector_clamp_backward
#cgo nocallback vector_clamp_backward
#cgo noescape vector_adamw
#cgo nocallback vector_adamw
#cgo noescape vector_lion
#cgo nocallback vector_lion
#cgo noescape vector_sgd
#cgo nocallback vector_sgd
#cgo noescape vector_expand8
#cgo nocallback vector_expand8
#cgo noescape vector_quantize8
#cgo nocallback vector_quantize8
#cgo noescape vector_mask
#cgo nocallback vector_mask
#cgo noescape vector_add_mask
#cgo nocallback vector_add_mask
#cgo noescape vector_store_sums
#cgo nocallback vector_store_sums
#cgo noescape vector_thin
#cgo nocallback vector_thin
#cgo noescape vector_drop
#cgo nocallback vector_drop
#include "vector.h"
*/
import "C"

import (
	"unsafe"
)

// Max returns the largest of x: -Inf for an empty x, NaN if x has a NaN.
func Max(x []float32) float32 { return float32(C.vector_max(floats(x), C.long(len(x)))) }

// ExpSum replaces each x by e^(x - shift), within 2 ulp, and returns their sum.
func ExpSum(x []float32, shift float32) float64 {
	return float64(C.vector_exp_sum(floats(x), C.long(len(x)), C.float(shift)))
}

// Cap replaces each x by limit·tanh(x/limit).
func Cap(x []float32, limit float32) { C.vector_cap(floats(x), C.long(len(x)), C.float(limit)) }

// Scale multiplies each x by factor.
func Scale(x []float32, factor float32) { C.vector_scale(floats(x), C.long(len(x)), C.float(factor)) }

// Add adds term to each x.
func Add(x []float32, term float32) { C.vector_add(floats(x), C.long(len(x)), C.float(term)) }

// Sum returns the sum of x.
func Sum(x []float32) float64 { return float64(C.vector_sum(floats(x), C.long(len(x)))) }

// Dot returns the sum of x·y, in float64.
func Dot(x, y []float32) float64 {
	same(len(x), len(y))
	return float64(C.vector_dot(floats(x), floats(y), C.long(len(x))))
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
