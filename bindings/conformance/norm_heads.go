package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

// A headNormCase is a norm of heads that are then rotated.
type headNormCase struct {
	tokens, heads, dim, rotary  int
	interleaved, centered, bias bool
	turns                       int
}

func runHeadNorm(t *testing.T, s *suite) {
	for _, c := range []headNormCase{
		{tokens: 7, heads: 3, dim: 64, rotary: 64},
		{tokens: 33, heads: 5, dim: 128, rotary: 128},
		{tokens: 9, heads: 2, dim: 256, rotary: 256},
		{tokens: 5, heads: 4, dim: 96, rotary: 48, centered: true},
		{tokens: 9, heads: 4, dim: 128, rotary: 128, interleaved: true, centered: true, turns: 4},
		{tokens: 9, heads: 2, dim: 16, rotary: 8, interleaved: true, bias: true},
		{tokens: 5, heads: 3, dim: 20, rotary: 20},
		{tokens: 3, heads: 2, dim: 272, rotary: 32},
	} {
		c.turns = max(1, c.turns)
		s.row(t, fmt.Sprintf("rotated %+v", c), func(f *fixture) { headNormRow(f, c) })
	}
}

func headNormRow(f *fixture, c headNormCase) {
	const eps = 1e-5
	rows, half := c.tokens*c.heads, c.rotary/2
	x, w := f.input("X", f.act, rows, c.dim, 2), f.input("Weight", bindings.BF16, c.turns, c.dim, 1)
	y, rstd := f.output("Y", f.act, c.tokens, c.heads*c.dim), f.output("RStd", bindings.F32, 1, rows)
	f.angles(50, half)
	at := f.places(c.tokens)
	op := &bindings.Norm{X: x.Tensor, Weight: w.Tensor, Centered: c.centered, Eps: eps, Y: y.Reshape(rows, c.dim), RStd: rstd.Tensor}
	var b *operand
	if c.bias {
		b = f.input("Bias", bindings.F32, c.turns, c.dim, 1)
		op.Bias = b.Tensor
	}
	if c.centered {
		op.Mean = f.output("Mean", bindings.F32, 1, rows).Tensor
	}
	op.After = &bindings.RoPE{
		X: y.Tensor, Heads: c.heads, HeadDim: c.dim, Positions: f.ints("Positions", at).Tensor,
		Cos: f.cos.Tensor, Sin: f.sin.Tensor, Interleaved: c.interleaved,
	}
	f.run([]bindings.Operation{op})

	want, wantRStd := make([]float64, 0, x.Len()), make([]float64, rows)
	for i := range rows {
		n := normalizer{Weight: w.values[i%c.turns*c.dim:][:c.dim], Eps: eps, Centered: c.centered}
		if b != nil {
			n.Bias = b.values
		}
		row := x.values[i*c.dim:][:c.dim]
		want = append(want, n.forward(row)...)
		_, wantRStd[i] = n.moments(row)
	}
	ropeRows(want, c.dim, at, f.cos.values, f.sin.values, half, false, c.interleaved)
	pairs := pairSizes(want, c.dim, half, c.interleaved)
	y.compare(c.dim, 2, func(i int) float64 { return pairs[i] }, y.numbers(), want)
	rstd.sums(c.dim, wantRStd)
}
