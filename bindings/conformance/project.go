package conformance

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"qlora/bindings"
	"qlora/internal/philox"
)

// A projectCase is one row of Project's table.
type projectCase struct {
	tokens, in int
	outs       []int // outputs of each part
	rank       int   // 0: no adapter
	dropout    float32
	residual   string // "", "apart", "in place"
	bias       bool
	inference  bool // no XA, no dropout, no backward
	frozen     bool // DX only
	accumulate bool
	noDX       bool
	full       bool // DWeight and DBias
	decomposed bool // with a Magnitude
	stacked    bool // A and DA behind each other, XA next to each other
	bare       int  // a part without an adapter, from 1
}

func runProject(t *testing.T, s *suite) {
	for _, c := range []projectCase{
		{tokens: 1, in: 1, outs: []int{1}},
		{tokens: 1, in: 64, outs: []int{64}, rank: 1},
		{tokens: 7, in: 67, outs: []int{13}, rank: 3, bias: true, residual: "apart"},
		{tokens: 33, in: 131, outs: []int{65, 17, 17}, rank: 8, dropout: 0.1, accumulate: true},
		{tokens: 33, in: 65, outs: []int{67}, rank: 5, dropout: 0.5, residual: "in place", bias: true},
		{tokens: 530, in: 70, outs: []int{259, 31}, rank: 16, dropout: 0.25},
		{tokens: 530, in: 70, outs: []int{259}, rank: 16, noDX: true, dropout: 0.25},
		{tokens: 521, in: 40, outs: []int{300}, rank: 4, inference: true, bias: true, residual: "in place"},
		{tokens: 1, in: 300, outs: []int{65, 31}, rank: 4, inference: true},
		{tokens: 19, in: 259, outs: []int{37}, full: true, bias: true},
		{tokens: 261, in: 64, outs: []int{65, 29}, full: true, bias: true, accumulate: true, rank: 2},
		{tokens: 19, in: 64, outs: []int{257}, rank: 7, frozen: true, accumulate: true},
		{tokens: 1, in: 64, outs: []int{64}, rank: 1, decomposed: true},
		{tokens: 7, in: 67, outs: []int{13}, rank: 3, bias: true, residual: "apart", decomposed: true},
		{tokens: 33, in: 131, outs: []int{65, 17, 17}, rank: 8, dropout: 0.1, accumulate: true, decomposed: true},
		{tokens: 33, in: 65, outs: []int{67}, rank: 5, dropout: 0.5, residual: "in place", bias: true, decomposed: true},
		{tokens: 530, in: 70, outs: []int{259, 31}, rank: 16, decomposed: true},
		{tokens: 530, in: 70, outs: []int{259}, rank: 16, noDX: true, dropout: 0.25, decomposed: true},
		{tokens: 521, in: 40, outs: []int{300}, rank: 4, inference: true, bias: true, residual: "in place", decomposed: true},
		{tokens: 1, in: 300, outs: []int{65, 31}, rank: 4, inference: true, decomposed: true},
		{tokens: 19, in: 64, outs: []int{257}, rank: 7, dropout: 0.2, frozen: true, accumulate: true, decomposed: true},
		{tokens: 33, in: 72, outs: []int{65, 17, 24}, rank: 8, bias: true, residual: "apart", stacked: true},
		{tokens: 131, in: 136, outs: []int{67, 129, 24, 16, 9}, rank: 16, accumulate: true, stacked: true, bare: 2},
		{tokens: 33, in: 72, outs: []int{65, 17}, rank: 8, dropout: 0.1, stacked: true},
		{tokens: 67, in: 67, outs: []int{33, 70}, rank: 3, stacked: true, bare: 1},
		{tokens: 5, in: 128, outs: []int{70, 17}, rank: 8, inference: true, stacked: true},
		{tokens: 270, in: 128, outs: []int{64, 72}, rank: 8, frozen: true, stacked: true},
		{tokens: 19, in: 64, outs: []int{31, 64, 7}, accumulate: true},
		{tokens: 150, in: 72, outs: []int{520, 17}, rank: 24, stacked: true},
		{tokens: 19, in: 64, outs: []int{40}, rank: 24},
		{tokens: 19, in: 64, outs: []int{40}, rank: 33},
		// The shapes of an adapter's bias.
		{tokens: 1, in: 1, outs: []int{70}, rank: 1, inference: true, residual: "in place"},
		{tokens: 133, in: 1, outs: []int{67}, rank: 1, noDX: true, residual: "in place"},
		{tokens: 70, in: 192, outs: []int{130, 64}, rank: 8, dropout: 0.1, bias: true, residual: "apart"},
		{tokens: 9, in: 192, outs: []int{40}, rank: 2},
		{tokens: 8, in: 128, outs: []int{70}, rank: 4, inference: true, bias: true, residual: "in place"},
		{tokens: 5, in: 128, outs: []int{70}, rank: 4, inference: true, bias: true, decomposed: true},
	} {
		for _, h := range s.holdings() {
			s.row(t, fmt.Sprintf("%s %+v", h.name, c), func(f *fixture) { projectRow(f, c, h) })
		}
	}
	runProjectAfter(t, s)
	runGated(t, s)
	// A weight too large for a device to expand at once.
	for _, c := range []projectCase{
		{tokens: 3, in: 2051, outs: []int{2090}, rank: 2, dropout: 0.1, bias: true},
		{tokens: 3, in: 2051, outs: []int{2090}, rank: 2, dropout: 0.1, accumulate: true, decomposed: true},
	} {
		s.row(t, fmt.Sprintf("large %+v", c), func(f *fixture) { projectRow(f, c, holdings[4]) })
	}
}

func projectRow(f *fixture, c projectCase, h holding) {
	x := f.input("X", f.act, c.tokens, c.in, 1)
	xs := mat.NewDense(c.tokens, c.in, x.values)
	op := &bindings.Project{X: x.Tensor, Random: f.draws(c.tokens, bindings.Random{Train: !c.inference, Seed: f.rng.Uint64(), Step: 3, Row: 11})}
	backward := &bindings.ProjectBackward{X: op.X, Random: op.Random, Accumulate: c.accumulate}
	type part struct {
		ref                               linear
		y, residual, xa, dy, da, db, w, b *operand
		magnitude                         *operand // gradient of the magnitude
	}
	parts := make([]part, len(c.outs))
	var overwritten []*operand
	adapters := c.adapters(f)
	for i, out := range c.outs {
		p := &parts[i]
		weight, values := f.weight("Weight", h, out, c.in)
		p.ref.W = values
		l := &bindings.Linear{Name: fmt.Sprintf("part %d", i), Weight: weight}
		bp, back := bindings.Part{Linear: l}, bindings.PartBackward{Linear: l}
		if c.bias {
			o := f.input("Bias", denseTypes[i%3], 1, out, 1)
			l.Bias, p.ref.Bias = o.Tensor, o.values
		}
		p.y = f.output("Y", f.act, c.tokens, out)
		if c.residual != "" {
			p.residual = f.input("Residual", f.act, c.tokens, out, 1)
			bp.Residual = p.residual.Tensor
			if c.residual == "in place" {
				p.y = p.residual
				overwritten = append(overwritten, p.y)
			}
		}
		bp.Y = p.y.Tensor
		p.dy = f.input("DY", f.act, c.tokens, out, 1)
		back.DY = p.dy.Tensor
		if c.rank > 0 && i+1 != c.bare {
			a, b := adapters.a(), f.input("B", f.act, out, c.rank, 1)
			l.Adapter = &bindings.Adapter{A: a.Tensor, B: b.Tensor, Scale: 0.5, Dropout: c.dropout, Stream: uint32(7 + i)}
			p.ref.A, p.ref.B, p.ref.Scale = mat.NewDense(c.rank, c.in, a.values), mat.NewDense(out, c.rank, b.values), 0.5
			if c.decomposed {
				// Arbitrary norms within a factor of 2: RowNorms has its own rows.
				given := make([]float64, out)
				for o := range given {
					given[o] = size(c.in) * (0.5 + f.rng.Float64())
				}
				m := f.input("Magnitude", bindings.F32, 1, out, size(c.in))
				n := f.given("Norms", bindings.F32, 1, out, given)
				l.Adapter.Magnitude, l.Adapter.Norms = m.Tensor, n.Tensor
				p.ref.Magnitude, p.ref.Norms = m.values, n.values
			}
			if c.dropout > 0 && !c.inference {
				p.ref.Mask = dropoutMask(op.Random, l.Adapter, c.tokens, c.in)
			}
			if !c.inference {
				p.xa = adapters.xa()
				bp.XA, back.XA = p.xa.Tensor, p.xa.Tensor
			}
			if !c.inference && !c.frozen {
				p.da, p.db = adapters.da(), f.input("DB", bindings.F32, out, c.rank, 1)
				back.DA, back.DB = p.da.Tensor, p.db.Tensor
				overwritten = append(overwritten, p.da, p.db)
				if c.decomposed {
					p.magnitude = f.input("DMagnitude", bindings.F32, 1, out, 1)
					back.DMagnitude = p.magnitude.Tensor
					overwritten = append(overwritten, p.magnitude)
				}
			}
		}
		if c.full {
			p.w, p.b = f.input("DWeight", bindings.F32, out, c.in, 1), f.input("DBias", bindings.F32, 1, out, 1)
			back.DWeight, back.DBias = p.w.Tensor, p.b.Tensor
			overwritten = append(overwritten, p.w, p.b)
		}
		op.Parts, backward.Parts = append(op.Parts, bp), append(backward.Parts, back)
	}
	var dx *operand
	wantDX := mat.NewDense(c.tokens, c.in, nil)
	if !c.inference && !c.noDX {
		dx = f.output("DX", f.act, c.tokens, c.in)
		if c.accumulate {
			dx = f.input("DX", f.act, c.tokens, c.in, 1)
			overwritten = append(overwritten, dx)
			wantDX.Copy(mat.NewDense(c.tokens, c.in, dx.values))
		}
		backward.DX = dx.Tensor
	}
	ops := []bindings.Operation{op}
	if !c.inference {
		ops = append(ops, backward)
	}
	f.run(ops, overwritten...)

	terms := 0 // terms in a sum of DX
	for i, out := range c.outs {
		p := &parts[i]
		y, xa := p.ref.forward(xs)
		if p.residual != nil {
			y.Add(y, mat.NewDense(c.tokens, out, p.residual.values))
		}
		p.y.nearBy(func(i int) float64 { return p.ref.gain(i % out) }, c.in+c.rank+2, 1, 0.5*size(c.in), y.RawMatrix().Data)
		if c.inference {
			continue
		}
		if p.xa != nil {
			p.xa.near(c.in, 1, size(c.in), xa.RawMatrix().Data)
		}
		g := p.ref.backward(xs, mat.NewDense(c.tokens, out, p.dy.values))
		wantDX.Add(wantDX, g.X)
		terms += out + c.rank
		if c.decomposed {
			terms += out // DX contains the base's product twice
		}
		if p.da != nil {
			p.da.near(c.tokens+out, 1, 0.5*size(c.tokens*out), plus(g.A, p.da))
			p.db.nearBy(func(i int) float64 { return p.ref.gain(i / c.rank) }, c.tokens+c.in, 1, 0.5*size(c.tokens*c.in), plus(g.B, p.db))
		}
		if p.magnitude != nil {
			p.magnitude.near(c.tokens+c.in+c.rank, 1, size(c.tokens), plus(mat.NewDense(1, out, g.Magnitude), p.magnitude))
		}
		if p.w != nil {
			p.w.products(c.tokens, plus(g.W, p.w))
			p.b.sums(c.tokens, plus(mat.NewDense(1, out, g.Bias), p.b))
		}
	}
	if dx != nil {
		dx.near(terms, 1, 0.5*size(terms), wantDX.RawMatrix().Data)
	}
}

// declared are functions that declare the next part's operands.
type declared struct{ a, da, xa func() *operand }

// adapters returns the functions for a row: they declare tensors, or views of a stack.
func (c *projectCase) adapters(f *fixture) declared {
	a := func() *operand { return f.input("A", f.act, c.rank, c.in, 1) }
	da := func() *operand { return f.input("DA", bindings.F32, c.rank, c.in, 1) }
	xa := func() *operand { return f.output("XA", f.act, c.tokens, c.rank) }
	if !c.stacked {
		return declared{a, da, xa}
	}
	n := len(c.outs)
	if c.bare > 0 {
		n--
	}
	rows := func(name string, base *operand) func() *operand {
		from := 0
		return func() *operand {
			from += c.rank
			return f.slice(name, base, from-c.rank, from)
		}
	}
	all := declared{a: rows("A", f.input("all A", f.act, n*c.rank, c.in, 1))}
	if c.inference {
		return all
	}
	if !c.frozen {
		all.da = rows("DA", f.input("all DA", bindings.F32, n*c.rank, c.in, 1))
	}
	row, from := f.output("all XA", f.act, c.tokens, n*c.rank), 0
	all.xa = func() *operand {
		from += c.rank
		return f.every("XA", row, row.Cols, from-c.rank, c.rank)
	}
	return all
}

// gain returns the magnitude's factor on output o, at least 1: on a part of the output,
// and on all of B's gradient.
func (l *linear) gain(o int) float64 {
	if l.Magnitude == nil {
		return 1
	}
	return max(1, math.Abs(l.Magnitude[o]/l.Norms[o]))
}

// size returns the root-mean-square of a sum of k products of standard normal numbers. A
// small case may differ much from it: sums of few results can all cancel.
func size(k int) float64 { return math.Sqrt(float64(k)) }

// plus returns the gradient plus the initial values of its tensor.
func plus(g *mat.Dense, before *operand) []float64 {
	var sum mat.Dense
	sum.Add(g, mat.NewDense(before.Rows, before.Cols, before.values))
	return sum.RawMatrix().Data
}

// dropoutMask returns the factors of an adapter's dropout on its input.
func dropoutMask(r bindings.Random, a *bindings.Adapter, tokens, in int) *mat.Dense {
	return mat.NewDense(tokens, in, dropoutFactors(r, a.Stream, a.Dropout, tokens, in))
}

// dropoutFactors returns the dropout factor of each element of [rows, cols].
func dropoutFactors(r bindings.Random, stream uint32, p float32, rows, cols int) []float64 {
	factors := make([]float64, 0, rows*cols)
	d := philox.NewDropout(r.Seed, stream, r.Step, p)
	ones, row := make([]float32, cols), make([]float32, cols)
	for i := range ones {
		ones[i] = 1
	}
	for t := range rows {
		copy(row, ones)
		if r.Train {
			d.Apply(row, ones, t+int(r.Row))
		}
		factors = append(factors, widened(row)...)
	}
	return factors
}
