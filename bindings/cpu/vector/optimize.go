package vector

// #include "vector.h"
import "C"

import "unsafe"

// AdamW updates weights and both moments from gradients, all float32, with the roundings
// of torch.optim.AdamW's single-tensor path, or of bitsandbytes, which rounds the first
// moment differently:
//
//	g *= Clip    w *= Decay    m = Beta1·m + Fresh1·g    v = Beta2·v + Fresh2·g²
//	w += Step·m/(sqrt(v)/Root2 + Eps)
type AdamW struct {
	Clip, Decay, Beta1, Fresh1, Beta2, Fresh2, Step, Root2, Eps float32
	Bitsandbytes                                                bool
}

// Run updates all elements of w, m and v.
func (s *AdamW) Run(w, g, m, v []float32) {
	same(len(w), len(g), len(m), len(v))
	c := C.struct_adamw{
		clip: C.float(s.Clip), decay: C.float(s.Decay), beta1: C.float(s.Beta1), fresh1: C.float(s.Fresh1), beta2: C.float(s.Beta2),
		fresh2: C.float(s.Fresh2), step: C.float(s.Step), root2: C.float(s.Root2), eps: C.float(s.Eps), bitsandbytes: flag(s.Bitsandbytes),
	}
	C.vector_adamw(&c, floats(w), floats(g), floats(m), floats(v), C.long(len(w)))
}

// Lion updates weights and moments as bitsandbytes' Lion does:
//
//	g *= Clip    w = Decay·w - LR·sign(Beta1·m + Fresh1·g)    m = Beta2·m + Fresh2·g
type Lion struct {
	Clip, Decay, Beta1, Fresh1, Beta2, Fresh2, LR float32
}

// Run updates all elements of w and m.
func (s *Lion) Run(w, g, m, _ []float32) {
	same(len(w), len(g), len(m))
	c := C.struct_lion{
		clip: C.float(s.Clip), decay: C.float(s.Decay), beta1: C.float(s.Beta1), fresh1: C.float(s.Fresh1), beta2: C.float(s.Beta2),
		fresh2: C.float(s.Fresh2), lr: C.float(s.LR),
	}
	C.vector_lion(&c, floats(w), floats(g), floats(m), C.long(len(w)))
}

// SGD updates weights and moments as torch.optim.SGD's single-tensor path does:
//
//	g = Clip·g + Decay·w    m = g if First, else Momentum·m + Fresh·g
//	w -= LR·(m, or g + Momentum·m with Nesterov, or g without moments)
type SGD struct {
	Clip, Decay, LR, Momentum, Fresh float32
	First, Nesterov                  bool
}

// Run updates all elements of w and m; m is nil without momentum.
func (s *SGD) Run(w, g, m, _ []float32) {
	same(len(w), len(g))
	if m != nil {
		same(len(w), len(m))
	}
	c := C.struct_sgd{
		clip: C.float(s.Clip), decay: C.float(s.Decay), lr: C.float(-s.LR), momentum: C.float(s.Momentum), fresh: C.float(s.Fresh),
		first: flag(s.First), nesterov: flag(s.Nesterov),
	}
	C.vector_sgd(&c, floats(w), floats(g), floats(m), C.long(len(w)))
}

// Expand8 writes the values of 8-bit codes, times absmax.
func Expand8(x []float32, codes []byte, values *[256]float32, absmax float32) {
	same(len(x), len(codes))
	C.vector_expand8(floats(x), bytes(codes), floats(values[:]), C.float(absmax), C.long(len(x)))
}

// Quantize8 writes the codes of a block with the table of package dynamic8's Code, and
// returns the block's absmax.
func Quantize8(codes []byte, x []float32, steps *[1 << 16]byte) float32 {
	same(len(x), len(codes))
	return float32(C.vector_quantize8(bytes(codes), floats(x), bytes(steps[:]), C.long(len(x))))
}

func bytes(x []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.SliceData(x)) }
