package kernels

/*
#cgo noescape decode_call_order
#cgo nocallback decode_call_order
#cgo noescape decode_arrange
#cgo nocallback decode_arrange
#cgo noescape decode_call_project
#cgo nocallback decode_call_project
#include "decode.h"

static int decode_call_available(const struct decode_kernels *k) { return k->available(); }
static int decode_call_order(const struct decode_kernels *k, const struct kernels_operand *w, long depth) { return k->order(w, depth); }

// The part's address is a number, so that cgo does not look for Go's pointers in it at each
// call: its tensors lie outside of Go's heap, and FewProduct's arranged rows in scratch do.
static void decode_call_project(const struct decode_kernels *k, uintptr_t part, long from, long to) {
	decode_project(k, (const struct decode_part *)part, from, to);
}
*/
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// FewRows is the largest number of rows that a Decoder multiplies.
const FewRows = C.decode_rows

// A Decoder multiplies a few rows by a weight where it lies. It reads each byte of the
// weight once, so that a product takes as long as reading the weight does. It is safe for
// concurrent use.
type Decoder struct {
	c    *C.struct_decode_kernels
	Name string // of the family with the same instructions
	BF16 bool   // X, the weight and Low are rounded to bfloat16, 4-bit codes' values before they are scaled
}

// Decoders returns the decoders that this processor runs, in order of preference.
var Decoders = sync.OnceValue(func() []*Decoder {
	var all []*Decoder
	for i := 0; ; i++ {
		c := C.decode_kernels(C.int(i))
		if c == nil {
			return all
		}
		if C.decode_call_available(c) != 0 {
			all = append(all, &Decoder{c, C.GoString(c.name), c.bf16 != 0})
		}
	}
})

// DecoderOf returns the decoder for a family: the one with its instructions, or the best of
// this processor that rounds no operand which the family does not. Gonum's is the portable
// one.
func DecoderOf(f Family) *Decoder {
	all := Decoders()
	if f == Gonum {
		return all[len(all)-1]
	}
	info := f.Info()
	var best *Decoder
	for _, d := range all {
		if d.Name == info.Name {
			return d
		}
		if best == nil && (info.BF16 || !d.BF16) {
			best = d
		}
	}
	return best
}

// An Order is the order in which a decoder reads the elements of X for some weights.
type Order int

// Orders is the number of orders there are.
const Orders = C.decode_words + 1

// Order returns the order of X for products with lines of w.
func (d *Decoder) Order(w *Operand, depth int) Order {
	c := operand(w)
	return Order(C.decode_call_order(d.c, &c, C.long(depth)))
}

// ArrangedFloats returns the size of a row that Arrange writes, at most.
func ArrangedFloats(depth int) int {
	return int(C.decode_unit) * ((depth + C.decode_unit - 1) / C.decode_unit)
}

// Arrange writes rows of x in an order to dst, each element times scale.
func Arrange(dst []float32, x *Operand, rows, depth int, order Order, scale float32) {
	enough("arranged rows", len(dst), rows*ArrangedFloats(depth))
	c := operand(x)
	C.decode_arrange(unsafe.Pointer(unsafe.SliceData(dst)), &c, C.int(rows), C.long(depth), C.int(order), C.float(scale))
}

// A FewProduct is a projection of at most FewRows rows:
//
//	Y = Residual + Bias + X·Wᵀ + Low·Upᵀ
//
// The zero Operand means absent.
type FewProduct struct {
	Rows, In int
	X        []float32 // arranged for W
	W        Operand   // [out, In]

	Rank int       // 0: without Low and Up
	Low  []float32 // arranged for Up
	Up   Operand   // [out, Rank]

	Bias     Operand // [1, out]
	Residual Operand // [Rows, out], of Y's type; may be Y
	Y        Operand // [Rows, out], F32 or BF16
}

// A FewRowsProduct is a FewProduct ready to run.
type FewRowsProduct struct {
	d *Decoder
	c C.struct_decode_part
}

// Ready returns p ready to run on d.
func (d *Decoder) Ready(p *FewProduct) FewRowsProduct {
	enough("arranged X", len(p.X), p.Rows*ArrangedFloats(p.In))
	enough("arranged Low", len(p.Low), p.Rows*ArrangedFloats(p.Rank))
	c := C.struct_decode_part{rows: C.int(p.Rows), in: C.long(p.In), x: unsafe.Pointer(unsafe.SliceData(p.X)), w: operand(&p.W)}
	if p.Rank > 0 {
		c.rank, c.low, c.up = C.long(p.Rank), unsafe.Pointer(unsafe.SliceData(p.Low)), operand(&p.Up)
	}
	c.bias_type, c.bias = types[p.Bias.Type], p.Bias.Data
	c._type, c.y, c.y_stride = types[p.Y.Type], p.Y.Data, C.long(p.Y.Stride)
	c.residual, c.residual_stride = p.Residual.Data, C.long(p.Residual.Stride)
	return FewRowsProduct{d, c}
}

// Columns computes the columns [from, to) of Y. Their bits do not depend on how the columns
// are cut, nor on the other rows.
func (p *FewRowsProduct) Columns(from, to int) {
	C.decode_call_project(p.d.c, C.uintptr_t(uintptr(unsafe.Pointer(&p.c))), C.long(from), C.long(to))
	runtime.KeepAlive(p)
}
