package conformance

import (
	"bytes"
	"fmt"
	"testing"

	"gonum.org/v1/gonum/mat"

	"qlora/bindings"
)

// A gatedCase is a row of Project with After, the activation of its results.
type gatedCase struct {
	tokens, in, out int
	ranks           [2]int // of gate's and up's adapters; of halves, of the first alone; 0: none
	dropout         float32
	bias            bool
	halves          bool // gate and up are one weight
	kind            bindings.Activation
}

func runGated(t *testing.T, s *suite) {
	for _, c := range []gatedCase{
		{tokens: 3, in: 64, out: 40, ranks: [2]int{4, 4}},
		{tokens: 7, in: 67, out: 13, ranks: [2]int{3, 2}, bias: true, kind: bindings.GELU},
		{tokens: 33, in: 72, out: 48, halves: true, kind: bindings.ReLUSquared},
		{tokens: 270, in: 128, out: 72, ranks: [2]int{16, 16}, dropout: 0.2},
		{tokens: 300, in: 72, out: 152, ranks: [2]int{24, 8}, bias: true, kind: bindings.GELUTanh},
		{tokens: 261, in: 64, out: 67, ranks: [2]int{8, 8}},
		{tokens: 265, in: 64, out: 64, ranks: [2]int{0, 40}},
		{tokens: 263, in: 136, out: 136, ranks: [2]int{8}, halves: true, bias: true},
		{tokens: 257, in: 64, out: 24, kind: bindings.ReLU},
	} {
		for _, h := range []holding{holdings[1], holdings[4]} {
			s.row(t, fmt.Sprintf("%s gated %+v", h.name, c), func(f *fixture) { gatedRow(f, c, h) })
		}
	}
}

// gatedRow compares the activation, and the results that it is of, with the bits of a Project
// without After and of an Activate, and these with the reference.
func gatedRow(f *fixture, c gatedCase, h holding) {
	x := f.input("X", f.act, c.tokens, c.in, 1)
	op := &bindings.Project{X: x.Tensor, Random: bindings.Random{Train: true, Seed: f.rng.Uint64(), Step: 3, Row: 11}}
	apart := &bindings.Project{X: x.Tensor, Random: op.Random}
	outs := []int{c.out, c.out}
	if c.halves {
		outs = []int{2 * c.out}
	}
	refs, ys, others := make([]linear, len(outs)), make([]*operand, len(outs)), make([]*operand, len(outs))
	for i, out := range outs {
		weight, values := f.weight("Weight", h, out, c.in)
		refs[i].W = values
		l := &bindings.Linear{Name: fmt.Sprintf("part %d", i), Weight: weight}
		if c.bias {
			o := f.input("Bias", denseTypes[i], 1, out, 1)
			l.Bias, refs[i].Bias = o.Tensor, o.values
		}
		p := bindings.Part{Linear: l}
		if r := c.ranks[i]; r > 0 {
			a, b := f.input("A", f.act, r, c.in, 1), f.input("B", f.act, out, r, 1)
			l.Adapter = &bindings.Adapter{A: a.Tensor, B: b.Tensor, Scale: 0.5 + float32(i)/4, Dropout: c.dropout, Stream: uint32(7 + i)}
			refs[i].A, refs[i].B, refs[i].Scale = mat.NewDense(r, c.in, a.values), mat.NewDense(out, r, b.values), float64(l.Adapter.Scale)
			if c.dropout > 0 {
				refs[i].Mask = dropoutMask(op.Random, l.Adapter, c.tokens, c.in)
			}
			p.XA = f.output("XA", f.act, c.tokens, r).Tensor
		}
		ys[i], others[i] = f.output("Y", f.act, c.tokens, out), f.output("Y apart", f.act, c.tokens, out)
		p.Y = ys[i].Tensor
		op.Parts = append(op.Parts, p)
		p.Y = others[i].Tensor
		apart.Parts = append(apart.Parts, p)
	}
	y, other := f.output("After.Y", f.act, c.tokens, c.out), f.output("Y of Activate", f.act, c.tokens, c.out)
	activate := func(of []*operand, y *operand) *bindings.Activate {
		a := &bindings.Activate{Kind: c.kind, G: of[0].Tensor, Y: y.Tensor}
		if c.halves {
			a.G, a.U = of[0].Columns(0, c.out), of[0].Columns(c.out, 2*c.out)
		} else {
			a.U = of[1].Tensor
		}
		return a
	}
	op.After = activate(ys, y)
	f.run([]bindings.Operation{op, apart, activate(others, other)})

	xs := mat.NewDense(c.tokens, c.in, x.values)
	for i, out := range outs {
		want, _ := refs[i].forward(xs)
		ys[i].near(c.in+c.ranks[i]+2, 1, 0.5*size(c.in), want.RawMatrix().Data)
		if !bytes.Equal(ys[i].raw(), others[i].raw()) {
			f.t.Errorf("Y[%d, %d] of part %d has other bits than without After", c.tokens, out, i)
		}
	}
	if !bytes.Equal(y.raw(), other.raw()) {
		f.t.Errorf("After.Y[%d, %d] has other bits than Activate's Y", c.tokens, c.out)
	}
	var g, u []float64 // as stored
	if c.halves {
		for t, both := 0, ys[0].numbers(); t < c.tokens; t++ {
			row := both[2*c.out*t:]
			g, u = append(g, row[:c.out]...), append(u, row[c.out:2*c.out]...)
		}
	} else {
		g, u = ys[0].numbers(), ys[1].numbers()
	}
	want := make([]float64, len(g))
	for i := range want {
		value, _ := activation(c.kind, g[i])
		want[i] = value * u[i]
	}
	y.equals(4, want)
}
