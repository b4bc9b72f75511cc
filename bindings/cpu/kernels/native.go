package kernels

/*
#cgo CFLAGS: -O3 -Wno-psabi
#cgo noescape kernels_call_left
#cgo nocallback kernels_call_left
#cgo noescape kernels_call_right
#cgo nocallback kernels_call_right
#cgo noescape kernels_call_multiply
#cgo nocallback kernels_call_multiply
#cgo noescape kernels_call_spin
#cgo nocallback kernels_call_spin
#cgo noescape kernels_expand
#cgo nocallback kernels_expand
#include "kernels.h"

#include <stddef.h>

static void kernels_call_left(const struct kernels_family *f, void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	kernels_pack_left(f, dst, o, lines, depth, scale);
}
static void kernels_call_right(const struct kernels_family *f, void *dst, const struct kernels_operand *o, long lines, long depth, float scale) {
	kernels_pack_right(f, dst, o, lines, depth, scale);
}
static void kernels_call_multiply(const struct kernels_family *f, float *sums, long stride, const void *left, const void *right, long rows, long cols, long depth, int accumulate) {
	f->multiply(sums, stride, left, right, rows, cols, depth, accumulate);
}
static double kernels_call_spin(const struct kernels_family *f, long rounds) { return f->spin == NULL ? 0 : f->spin(rounds); }
static int kernels_call_available(const struct kernels_family *f) { return f->available(); }
static int kernels_call_preferred(const struct kernels_family *f) { return f->preferred == NULL || f->preferred(); }
*/
import "C"

import (
	"fmt"
	"sync"
	"time"
	"unsafe"

	"qlora/bindings"
)

// A family is a Family in C.
type family struct {
	c    *C.struct_kernels_family
	info Info
}

// native returns the families in C that this processor runs and that are chosen.
func native(chosen func(*Info) bool) []Family {
	var some []Family
	for _, f := range available() {
		if chosen(f.Info()) {
			some = append(some, f)
		}
	}
	return some
}

// Names returns the families in C that there are for this architecture, also those that
// this processor does not run.
func Names() []string {
	var names []string
	for i := 0; ; i++ {
		c := C.kernels_family(C.int(i))
		if c == nil {
			return names
		}
		names = append(names, C.GoString(c.name))
	}
}

var available = sync.OnceValue(func() []Family {
	var all []Family
	for i := 0; ; i++ {
		c := C.kernels_family(C.int(i))
		if c == nil {
			return all
		}
		if C.kernels_call_available(c) == 0 {
			continue
		}
		all = append(all, &family{c, Info{
			Name: C.GoString(c.name), BF16: c.bf16 != 0, Rows: int(c.rows), Cols: int(c.cols),
			Unit: int(c.unit), Bytes: int(c.bytes), Slice: int(c.slice),
			LeftPiece: int(c.left_piece), RightPiece: int(c.right_piece),
			Detail: C.GoString(c.detail), Preferred: C.kernels_call_preferred(c) != 0,
			Rounding: float64(c.rounding), Emulated: c.emulated != 0, Trial: c.trial != 0,
		}})
	}
})

// Info returns the family's description.
func (f *family) Info() *Info { return &f.info }

// PackLeft packs a left operand.
func (f *family) PackLeft(dst []byte, o *Operand, lines, depth int, scale float32) {
	enough("left panels", len(dst), f.info.LeftBytes(lines, depth))
	c := operand(o)
	C.kernels_call_left(f.c, unsafe.Pointer(unsafe.SliceData(dst)), &c, C.long(lines), C.long(depth), C.float(scale))
}

// PackRight packs a right operand.
func (f *family) PackRight(dst []byte, o *Operand, lines, depth int, scale float32) {
	enough("right panels", len(dst), f.info.RightBytes(lines, depth))
	c := operand(o)
	C.kernels_call_right(f.c, unsafe.Pointer(unsafe.SliceData(dst)), &c, C.long(lines), C.long(depth), C.float(scale))
}

// Multiply computes sums from packed operands.
func (f *family) Multiply(sums []float32, stride int, left, right []byte, rows, cols, depth int, accumulate bool) {
	if rows == 0 || cols == 0 {
		return
	}
	enough("left panels", len(left), f.info.LeftBytes(rows, depth))
	enough("right panels", len(right), f.info.RightBytes(cols, depth))
	enough("sums", len(sums), (rows-1)*stride+cols)
	adds := C.int(0)
	if accumulate {
		adds = 1
	}
	C.kernels_call_multiply(f.c, (*C.float)(unsafe.SliceData(sums)), C.long(stride),
		unsafe.Pointer(unsafe.SliceData(left)), unsafe.Pointer(unsafe.SliceData(right)), C.long(rows), C.long(cols), C.long(depth), adds)
}

// Peak returns the GFLOP/s of a family's multiply-adds on one core's registers, the limit of
// Multiply, or 0 if the family does not tell. It takes some 20 ms.
func Peak(f Family) float64 {
	c, ok := f.(*family)
	if !ok {
		return 0
	}
	const trials, rounds = 10, 100_000
	best := 0.0
	for range trials {
		start := time.Now()
		done := float64(C.kernels_call_spin(c.c, rounds))
		best = max(best, done/float64(time.Since(start)))
	}
	return best
}

// enough panics if C would exceed a slice.
func enough(what string, have, need int) {
	if have < need {
		panic(fmt.Sprintf("kernels: %s of %d elements; %d are needed", what, have, need))
	}
}

// types maps the element types to C's.
var types = [...]C.int{bindings.F32: C.kernels_f32, bindings.BF16: C.kernels_bf16, bindings.F16: C.kernels_f16}

func operand(o *Operand) C.struct_kernels_operand {
	c := C.struct_kernels_operand{stride: C.long(o.Stride)}
	if o.Transposed {
		c.transposed = 1
	}
	if w := o.EightBit; w != nil {
		c._type, c.data, c.first = C.kernels_int8, w.Codes, C.long(o.First)
		c.halves, c.block = (*C.uint16_t)(w.Scales), C.long(w.BlockSize)
		return c
	}
	w := o.Coded
	if w == nil {
		c._type, c.data = types[o.Type], o.Data
		return c
	}
	c._type, c.data, c.first, c.block = C.kernels_coded, w.Codes, C.long(o.First), C.long(w.BlockSize)
	for i, v := range w.Values {
		c.values[i] = C.float(v)
	}
	if w.Absmax != nil {
		c.absmax = (*C.float)(w.Absmax)
		return c
	}
	c.absmax_codes, c.nested, c.nested_block = (*C.uint8_t)(w.AbsmaxCodes), (*C.float)(w.NestedAbsmax), C.long(w.NestedBlockSize)
	c._map, c.offset = (*C.float)(w.Map), C.float(w.Offset)
	return c
}

// Expand writes n elements of a line from depth from on to dst, in float32.
func Expand(dst []float32, o *Operand, line, from int) {
	c := operand(o)
	C.kernels_expand((*C.float)(unsafe.SliceData(dst)), &c, C.long(line), C.long(from), C.long(len(dst)))
}
