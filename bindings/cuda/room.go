package cuda

// #include <stdlib.h>
import "C"

import (
	"runtime"
	"unsafe"

	"qlora/bindings"
)

// A room is the memory in which operations are composed, one after the other: slices that an
// operation takes, and the struct of its next launch. A step composes hundreds of operations; in a
// room they leave nothing for the garbage collector.
type room struct {
	products pile[product]
	tensors  pile[tensor]
	operands pile[bindings.Tensor]
	layers   pile[*bindings.Linear]
	weights  pile[*bindings.Weight]
	strips   pile[strip]
	pullings pile[pulling]
	pulled   pile[pulled]
	launched unsafe.Pointer // in C's memory
}

// taken returns the composer's room.
func (c *composer) taken() *room {
	if c.room == nil {
		c.room = new(room)
	}
	return c.room
}

// reset lets the next operation take all memory again.
func (r *room) reset() {
	r.products.used, r.tensors.used, r.operands.used, r.layers.used = 0, 0, 0, 0
	r.weights.used, r.strips.used, r.pullings.used, r.pulled.used = 0, 0, 0, 0
}

// largestCall is the size of the largest struct of a launch.
const largestCall = unsafe.Sizeof(products{})

// call returns C's memory for the struct of a launch, of so many bytes. A launch has read it when
// it returns.
func (r *room) call(bytes uintptr) unsafe.Pointer {
	if bytes > largestCall {
		panic("cuda: products are not the largest struct of a launch")
	}
	if r.launched == nil {
		r.launched = C.calloc(1, C.size_t(largestCall))
		runtime.AddCleanup(r, func(p unsafe.Pointer) { C.free(p) }, r.launched)
	}
	return r.launched
}

// A pile is a stack of slices that are given back together.
type pile[T any] struct {
	all  []T
	used int
}

// take returns n zero values.
func (p *pile[T]) take(n int) []T {
	if p.used+n > len(p.all) {
		p.all, p.used = make([]T, max(n, 2*len(p.all))), 0
	}
	s := p.all[p.used : p.used+n : p.used+n]
	p.used += n
	clear(s)
	return s
}

// one returns v alone.
func (p *pile[T]) one(v T) []T {
	s := p.take(1)
	s[0] = v
	return s
}
