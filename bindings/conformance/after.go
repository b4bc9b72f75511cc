package conformance

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"qlora/bindings"
)

// An afterCase is a row of ProjectBackward with After, the backward of the operation that
// computed X.
type afterCase struct {
	tokens, in int
	outs       []int
	rank       int // 0: no adapter, X is not wanted unless full
	dropout    float32
	full       bool // DWeight
	norm       bool // After is of a norm, else of an activation
	centered   bool // the norm is, and has a bias
	plain      bool // the activation is not gated
	kind       bindings.Activation
}

func runProjectAfter(t *testing.T, s *suite) {
	for _, c := range []afterCase{
		{tokens: 7, in: 67, outs: []int{13}, rank: 3},
		{tokens: 33, in: 131, outs: []int{65}, rank: 8, dropout: 0.1},
		{tokens: 530, in: 72, outs: []int{259}, rank: 16},
		{tokens: 1030, in: 64, outs: []int{40}, rank: 4},
		{tokens: 300, in: 264, outs: []int{200}, rank: 8, kind: bindings.GELUTanh},
		{tokens: 300, in: 264, outs: []int{200}, kind: bindings.GELU},
		{tokens: 300, in: 131, outs: []int{40}, rank: 8, kind: bindings.ReLU, dropout: 0.2},
		{tokens: 19, in: 64, outs: []int{70}, plain: true, full: true},
		{tokens: 9, in: 192, outs: []int{40}, plain: true},
		{tokens: 33, in: 131, outs: []int{65, 17, 17}, rank: 8, dropout: 0.1, norm: true},
		{tokens: 530, in: 72, outs: []int{259, 31}, rank: 16, norm: true, centered: true},
		{tokens: 1030, in: 64, outs: []int{40, 24}, rank: 4, norm: true},
		{tokens: 19, in: 64, outs: []int{70}, norm: true, full: true},
		{tokens: 9, in: 192, outs: []int{40, 8}, norm: true, centered: true},
	} {
		for _, h := range []holding{holdings[1], holdings[4]} {
			s.row(t, fmt.Sprintf("%s after %+v", h.name, c), func(f *fixture) { projectAfterRow(f, c, h) })
		}
	}
}

func projectAfterRow(f *fixture, c afterCase, h holding) {
	const eps = 1e-5
	x, values := f.output("X and DX", f.act, c.tokens, c.in), make([]float64, c.tokens*c.in)
	op := &bindings.ProjectBackward{
		X: x.Tensor, DX: x.Tensor, Random: bindings.Random{Train: true, Seed: f.rng.Uint64(), Step: 3},
	}
	again := bindings.Tensor{}
	if c.rank > 0 || c.full {
		again = x.Tensor
	}
	overwritten := []*operand{x}
	var g, u, res, w, b *operand
	if c.norm {
		g, res, w = f.input("H", f.act, c.tokens, c.in, 2), f.input("D", f.act, c.tokens, c.in, 1), f.input("Norm", bindings.BF16, 1, c.in, 1)
		overwritten = append(overwritten, res)
		n := bindings.Norm{X: g.Tensor, Weight: w.Tensor, Eps: eps}
		if c.centered {
			b = f.input("Norm's bias", bindings.BF16, 1, c.in, 1)
			n.Bias, n.Centered = b.Tensor, true
		}
		op.After = &bindings.NormBackward{Norm: n, DY: x.Tensor, DX: res.Tensor, Accumulate: true, Again: again}
	} else {
		g = f.input("G", f.act, c.tokens, c.in, 2)
		after := &bindings.ActivateBackward{Activate: bindings.Activate{Kind: c.kind, G: g.Tensor}, DY: x.Tensor, DG: g.Tensor, Again: again}
		if !c.plain {
			u = f.input("U", f.act, c.tokens, c.in, 1)
			after.U, after.DU = u.Tensor, u.Tensor
			overwritten = append(overwritten, u)
		}
		overwritten = append(overwritten, g)
		op.After = after
	}
	row := normalizer{Eps: eps, Centered: c.centered}
	if c.norm {
		row.Weight = w.values
	}
	if b != nil {
		row.Bias = b.values
	}
	for i := range values {
		if c.norm {
			if i%c.in == 0 {
				copy(values[i:], row.forward(g.values[i:i+c.in]))
			}
			continue
		}
		values[i], _ = activation(c.kind, g.values[i])
		if u != nil {
			values[i] *= u.values[i]
		}
	}
	xs := mat.NewDense(c.tokens, c.in, values)

	type part struct {
		ref            linear
		dy, da, db, dw *operand
	}
	parts := make([]part, len(c.outs))
	for i, out := range c.outs {
		p := &parts[i]
		weight, of := f.weight("Weight", h, out, c.in)
		p.ref.W = of
		l := &bindings.Linear{Name: fmt.Sprintf("part %d", i), Weight: weight}
		p.dy = f.input("DY", f.act, c.tokens, out, 1)
		back := bindings.PartBackward{Linear: l, DY: p.dy.Tensor}
		if c.rank > 0 {
			a, b := f.input("A", f.act, c.rank, c.in, 1), f.input("B", f.act, out, c.rank, 1)
			l.Adapter = &bindings.Adapter{A: a.Tensor, B: b.Tensor, Scale: 0.5, Dropout: c.dropout, Stream: uint32(7 + i)}
			p.ref.A, p.ref.B, p.ref.Scale = mat.NewDense(c.rank, c.in, a.values), mat.NewDense(out, c.rank, b.values), 0.5
			if c.dropout > 0 {
				p.ref.Mask = dropoutMask(op.Random, l.Adapter, c.tokens, c.in)
			}
			_, xa := p.ref.forward(xs)
			p.da, p.db = f.input("DA", bindings.F32, c.rank, c.in, 1), f.input("DB", bindings.F32, out, c.rank, 1)
			back.XA = f.given("XA", f.act, c.tokens, c.rank, xa.RawMatrix().Data).Tensor
			back.DA, back.DB = p.da.Tensor, p.db.Tensor
			overwritten = append(overwritten, p.da, p.db)
		}
		if c.full {
			p.dw = f.input("DWeight", bindings.F32, out, c.in, 1)
			back.DWeight = p.dw.Tensor
			overwritten = append(overwritten, p.dw)
		}
		op.Parts = append(op.Parts, back)
	}
	f.run([]bindings.Operation{op}, overwritten...)

	dx, terms := mat.NewDense(c.tokens, c.in, nil), 0
	for i, out := range c.outs {
		p := &parts[i]
		grads := p.ref.backward(xs, mat.NewDense(c.tokens, out, p.dy.values))
		dx.Add(dx, grads.X)
		terms += out + c.rank
		if p.da != nil {
			p.da.near(c.tokens+out, 2, 0.5*size(c.tokens*out), plus(grads.A, p.da))
			p.db.near(c.tokens+c.in, 1, 0.5*size(c.tokens*c.in), plus(grads.B, p.db))
		}
		if p.dw != nil {
			p.dw.near(c.tokens, 1, size(c.tokens), plus(grads.W, p.dw))
		}
	}
	if !again.Absent() {
		x.equals(c.in, values)
	}
	want, other := make([]float64, len(values)), make([]float64, len(values))
	most := 0.0 // of an element's factor of DX
	for i, d := range dx.RawMatrix().Data {
		if c.norm {
			if i%c.in == 0 {
				h := g.values[i : i+c.in]
				_, r := row.moments(h)
				most = max(most, 2*r)
				back, _ := row.backward(h, dx.RawMatrix().Data[i:i+c.in])
				copy(want[i:], back)
			}
			want[i] += res.values[i]
			continue
		}
		value, slope := activation(c.kind, g.values[i])
		if u != nil {
			slope *= u.values[i]
		}
		want[i], other[i] = d*slope, d*value
		most = max(most, math.Abs(slope), math.Abs(value))
	}
	to := g
	if c.norm {
		to = res
	}
	to.near(terms, 2, most*size(terms), want)
	if u != nil {
		u.near(terms, 2, most*size(terms), other)
	}
}
