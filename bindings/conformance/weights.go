package conformance

import (
	"slices"

	"gonum.org/v1/gonum/mat"

	"qlora/bindings"
	"qlora/internal/dynamic8"
	"qlora/nf4"
)

// A holding is the encoding of a case's base weight.
type holding struct {
	name   string
	dtype  bindings.DType // element type if dense
	kind   nf4.Kind
	block  int // 0: dense
	double bool
	eight  bool // 8 bits
}

var holdings = []holding{
	{name: "F32", dtype: bindings.F32},
	{name: "BF16", dtype: bindings.BF16},
	{name: "F16", dtype: bindings.F16},
	{name: "nf4", kind: nf4.NF4, block: 64},
	{name: "nf4 double", kind: nf4.NF4, block: 64, double: true},
	{name: "fp4 of 32", kind: nf4.FP4, block: 32},
	{name: "q4_0", kind: nf4.Q4_0, block: 32},
	{name: "iq4", kind: nf4.IQ4, block: 32},
}

// holdings returns the encodings that the device multiplies, for the weight of a case. Where each
// case runs with some, cases take turns.
func (s *suite) holdings() []holding {
	all := holdings
	if s.dev.Info().EightBit {
		all = append(slices.Clip(holdings), holding{name: "q8_0", block: 32, eight: true})
	}
	if s.encodings == 0 {
		return all
	}
	some := make([]holding, s.encodings)
	for i := range some {
		some[i] = all[(s.turn+i*len(all)/s.encodings)%len(all)]
	}
	s.turn++
	return some
}

// weight declares a random [out, in] on the device and returns its values. One in
// 4 or 8 bits consists of random codes and scales, decoded here independently.
func (f *fixture) weight(name string, h holding, out, in int) (bindings.Weight, *mat.Dense) {
	if h.block == 0 {
		o := f.input(name, h.dtype, out, in, 0.5)
		return bindings.Weight{Out: out, In: in, Dense: o.Tensor}, mat.NewDense(out, in, o.values)
	}
	if h.eight {
		return f.eightBit(name, h, out, in)
	}
	n := out * in
	blocks := (n + h.block - 1) / h.block
	codes := make([]byte, (n+1)/2)
	for i := range codes {
		codes[i] = byte(f.rng.Uint32())
	}
	q := &bindings.Quantized{Kind: h.kind, BlockSize: h.block, Codes: f.bytes(name+" codes", codes).Tensor}
	positive := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = f.rng.Float64() + 0.1
		}
		return x
	}
	absmax := make([]float64, blocks)
	if h.double {
		scales := make([]byte, blocks)
		for i := range scales {
			scales[i] = byte(f.rng.Uint32())
		}
		values := make([]float64, 256)
		for i, v := range dynamic8.Signed().Values() {
			values[i] = float64(v)
		}
		nested := f.given(name+" nested absmax", bindings.F32, 1, (blocks+255)/256, positive((blocks+255)/256))
		offset := f.given(name+" offset", bindings.F32, 1, 1, []float64{1.25})
		q.AbsmaxCodes = f.bytes(name+" absmax codes", scales).Tensor
		q.NestedAbsmax, q.NestedBlockSize = nested.Tensor, 256
		q.Map, q.Offset = f.given(name+" map", bindings.F32, 1, 256, values).Tensor, offset.Tensor
		for i := range absmax {
			absmax[i] = float64(float32(float32(values[scales[i]])*float32(nested.values[i/256])) + float32(offset.values[0]))
		}
	} else {
		scales := positive(blocks)
		if !h.kind.Quantizes() { // GGML's, of integers, with a sign
			for i := range scales {
				scales[i] *= float64(1-i%2*2) / float64(h.kind.Codebook()[0])
			}
		}
		o := f.given(name+" absmax", bindings.F32, 1, blocks, scales)
		q.Absmax, absmax = o.Tensor, o.values
	}
	values := h.kind.Codebook()
	w := make([]float64, n)
	for i := range w {
		code := codes[i/2] >> 4
		if i%2 == 1 {
			code = codes[i/2] & 15
		}
		w[i] = float64(values[code] * float32(absmax[i/h.block]))
	}
	return bindings.Weight{Out: out, In: in, Quantized: q}, mat.NewDense(out, in, w)
}

// eightBit does the same in 8 bits.
func (f *fixture) eightBit(name string, h holding, out, in int) (bindings.Weight, *mat.Dense) {
	codes, scales := make([]byte, out*in), make([]float64, (out*in+h.block-1)/h.block)
	for i := range codes {
		codes[i] = byte(f.rng.Uint32())
	}
	for i := range scales {
		scales[i] = (f.rng.Float64() + 0.1) / 128 * float64(1-i%2*2)
	}
	o := f.given(name+" scales", bindings.F16, 1, len(scales), scales)
	q := &bindings.EightBit{BlockSize: h.block, Codes: f.bytes(name+" codes", codes).Tensor, Scales: o.Tensor}
	w := make([]float64, len(codes))
	for i, c := range codes {
		w[i] = float64(float32(int8(c)) * float32(o.values[i/h.block]))
	}
	return bindings.Weight{Out: out, In: in, EightBit: q}, mat.NewDense(out, in, w)
}
