package lora

import (
	"math"

	"qlora/internal/lowrank"
	"qlora/internal/philox"
	"qlora/nf4"
)

// factors are the initial A [r, in] and B [out, r] of an adapter.
type factors struct{ a, b []float32 }

// decompose computes the initial factors of the adapter s from its original weight w,
// and leaves in w the weight that the base stores.
func (a *Adapters) decompose(s *start, w lowrank.Matrix, seed uint64) factors {
	r, scale := s.of.Adapter.Rank(), float64(s.of.Adapter.Scale)
	iterations, randomized := a.Config.Init.iterations()
	switch {
	case randomized:
		return pissa(w, scale, lowrank.Randomized(w, r, iterations, drawn(seed, s.place)))
	case a.Config.Init == InitPiSSA:
		return pissa(w, scale, lowrank.Leading(w, r))
	case a.Config.Init == InitOLoRA:
		return olora(w, scale, r)
	}
	return a.loftQ(s, w, a.Config.LoftQIterations)
}

// pissa splits w into its principal part, which is trained, and the residual, which
// the base keeps (Meng et al. 2024, arXiv 2404.02948):
//
//	B = U·sqrt(S/scale)    A = sqrt(S/scale)·V    w -= scale·B·A
//
// A 4-bit base quantizes the residual, as in the paper.
func pissa(w lowrank.Matrix, scale float64, t lowrank.Triplets) factors {
	f := split(t, scale)
	f.takeFrom(w, scale)
	return f
}

// olora splits w by its QR decomposition (Büyükakyüz 2024, arXiv 2406.01775):
// B is the first r columns of Q, A the first r rows of R, and w -= scale·B·A.
func olora(w lowrank.Matrix, scale float64, r int) factors {
	q, top := lowrank.QR(w, r)
	f := factors{a: narrowed(top), b: narrowed(q)}
	f.takeFrom(w, scale)
	return f
}

// loftQ approximates w by the sum of a low-rank matrix and a 4-bit weight (Li et al.
// 2023, arXiv 2310.08659). It alternates, as PEFT's loftq_init,
//
//	base = dequantize(quantize(w - scale·B·A))    B·A = rank r of (w - base) / scale
//
// from B·A = 0, and leaves in w what the base is quantized from. PEFT leaves the scale
// out, so its start equals w only where alpha equals r.
func (a *Adapters) loftQ(s *start, w lowrank.Matrix, iterations int) factors {
	var f factors
	original := append([]float64(nil), w.Data...)
	for i := range iterations {
		if i > 0 {
			copy(w.Data, original)
			f.takeFrom(w, float64(s.of.Adapter.Scale))
		}
		lost := lowrank.New(w.Rows, w.Cols)
		for j, quantized := range s.in4Bit(narrowed(w)) {
			lost.Data[j] = float64(float32(original[j]) - quantized)
		}
		f = split(lowrank.Leading(lost, s.of.Adapter.Rank()), float64(s.of.Adapter.Scale))
	}
	return f
}

// takeLoftQ leaves in w what a LoftQ base is quantized from: w itself after one
// iteration; several are computed again.
func (a *Adapters) takeLoftQ(s *start, w lowrank.Matrix) {
	if a.Config.LoftQIterations > 1 {
		f := a.loftQ(s, lowrank.Matrix{Rows: w.Rows, Cols: w.Cols, Data: append([]float64(nil), w.Data...)}, a.Config.LoftQIterations-1)
		f.takeFrom(w, float64(s.of.Adapter.Scale))
	}
}

// in4Bit returns x quantized to 4 bits and dequantized if the adapter's weight is
// stored in 4 bits.
func (s *start) in4Bit(x []float32) []float32 {
	q := s.of.Weight.Quantized
	codes := make([]byte, (len(x)+1)/2)
	absmax := make([]float32, (len(x)+q.BlockSize-1)/q.BlockSize)
	nf4.Quantize(codes, absmax, x, q.Kind, q.BlockSize)
	if q.Double() {
		nested := nf4.Nest(absmax)
		nested.Expand(absmax)
	}
	nf4.Dequantize(x, codes, absmax, q.Kind, q.BlockSize)
	return x
}

// split shares the singular values of t, over scale, between both factors.
func split(t lowrank.Triplets, scale float64) factors {
	r := len(t.S)
	b, a := t.U, t.V
	for j, s := range t.S {
		root := math.Sqrt(s / scale)
		for i := range b.Rows {
			b.Data[i*r+j] *= root
		}
		for i := range a.Cols {
			a.Data[j*a.Cols+i] *= root
		}
	}
	return factors{a: narrowed(a), b: narrowed(b)}
}

// takeFrom subtracts the factors from w: w -= scale·B·A.
func (f factors) takeFrom(w lowrank.Matrix, scale float64) {
	r := len(f.a) / w.Cols
	w.MulAdd(-scale, matrix(f.b, w.Rows, r), matrix(f.a, r, w.Cols))
}

// drawn returns a function that fills a slice with normal numbers. They depend only on
// the seed and the projection's index.
func drawn(seed uint64, place int) func([]float64) {
	return func(x []float64) {
		normal := make([]float32, len(x))
		philox.Normal(normal, seed, drawStream(place), 1)
		for i, z := range normal {
			x[i] = float64(z)
		}
	}
}
