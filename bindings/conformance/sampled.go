package conformance

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"qlora/bindings"
	"qlora/nf4"
)

// A Projection is the shape of a projection with an adapter, of a 4-bit weight.
type Projection struct{ Tokens, In, Out, Rank int }

// samples is the number of elements of Y and of each gradient that RunSampled compares.
const samples = 50

// RunSampled runs a projection, forward and backward, at a shape too large for a reference
// of all its elements: some of each result, by chance and at the corners, are compared with
// float64.
func RunSampled(t *testing.T, dev bindings.Device, tol Tolerances, p Projection) {
	s := &suite{dev: dev, tol: tol, ran: map[string]bool{}, missing: map[string]bool{}}
	s.row(t, fmt.Sprintf("%+v", p), func(f *fixture) { sampledRow(f, p) })
}

func sampledRow(f *fixture, p Projection) {
	const scale, dropout = 0.5, 0.1
	h := holding{name: "nf4 double", kind: nf4.NF4, block: 64, double: true}
	weight, w := f.weight("Weight", h, p.Out, p.In)
	x, dy := f.input("X", f.act, p.Tokens, p.In, 1), f.input("DY", f.act, p.Tokens, p.Out, 1)
	a, b := f.input("A", f.act, p.Rank, p.In, 1), f.input("B", f.act, p.Out, p.Rank, 1)
	y, dx := f.output("Y", f.act, p.Tokens, p.Out), f.output("DX", f.act, p.Tokens, p.In)
	xa := f.output("XA", f.act, p.Tokens, p.Rank)
	da, db := f.given("DA", bindings.F32, p.Rank, p.In, make([]float64, p.Rank*p.In)), f.given("DB", bindings.F32, p.Out, p.Rank, make([]float64, p.Out*p.Rank))
	l := &bindings.Linear{
		Name: "sampled", Weight: weight,
		Adapter: &bindings.Adapter{A: a.Tensor, B: b.Tensor, Scale: scale, Dropout: dropout, Stream: 7},
	}
	random := bindings.Random{Train: true, Seed: f.rng.Uint64(), Step: 3}
	op := &bindings.Project{X: x.Tensor, Random: random, Parts: []bindings.Part{{Linear: l, Y: y.Tensor, XA: xa.Tensor}}}
	backward := &bindings.ProjectBackward{
		X: x.Tensor, Random: random, DX: dx.Tensor,
		Parts: []bindings.PartBackward{{Linear: l, XA: xa.Tensor, DY: dy.Tensor, DA: da.Tensor, DB: db.Tensor}},
	}
	f.run([]bindings.Operation{op, backward}, da, db)

	// XA = dropped(X)·Aᵀ and U = scale·DY·B, whose rounding the tolerances allow for.
	dropped := dropoutMask(random, l.Adapter, p.Tokens, p.In)
	mask := mat.DenseCopyOf(dropped)
	dropped.MulElem(dropped, mat.NewDense(p.Tokens, p.In, x.values))
	as, bs, dys := mat.NewDense(p.Rank, p.In, a.values), mat.NewDense(p.Out, p.Rank, b.values), mat.NewDense(p.Tokens, p.Out, dy.values)
	var low, u mat.Dense
	low.Mul(dropped, as.T())
	u.Mul(dys, bs)
	u.Scale(scale, &u)
	xs := mat.NewDense(p.Tokens, p.In, x.values)
	for _, c := range []struct {
		of        *operand
		sum, size int // terms, and those that the size of the result is of
		want      func(i, j int) float64
	}{
		{y, p.In + p.Rank, p.In, func(t, o int) float64 {
			return mat.Dot(xs.RowView(t), w.RowView(o)) + scale*mat.Dot(low.RowView(t), bs.RowView(o))
		}},
		{dx, p.Out + p.Rank, p.Out, func(t, i int) float64 {
			return mat.Dot(dys.RowView(t), w.ColView(i)) + mask.At(t, i)*mat.Dot(u.RowView(t), as.ColView(i))
		}},
		{da, p.Tokens + p.Out, p.Tokens * p.Out, func(r, i int) float64 { return mat.Dot(u.ColView(r), dropped.ColView(i)) }},
		{db, p.Tokens + p.In, p.Tokens * p.In, func(o, r int) float64 { return scale * mat.Dot(dys.ColView(o), low.ColView(r)) }},
	} {
		c.of.sampled(c.sum, scale*size(c.size), c.want)
	}
}

// sampled compares elements by chance, and those of the corners, with want.
func (o *operand) sampled(k int, terms float64, want func(row, col int) float64) {
	o.f.t.Helper()
	got := o.numbers()
	for n := range samples {
		row, col := o.f.rng.IntN(o.Rows), o.f.rng.IntN(o.Cols)
		if n < 4 {
			row, col = n/2*(o.Rows-1), n%2*(o.Cols-1)
		}
		v := want(row, col)
		bound := o.f.tol.relative(k, 1) * max(terms, math.Abs(v))
		if e := math.Abs(got[row*o.Cols+col] - v); !(e <= bound) {
			o.f.t.Errorf("%s%v at row %d, column %d: got %.9g, want %.9g, difference %.3g is %.3g times the tolerance (sum of %d)",
				o.name, o.Tensor, row, col, got[row*o.Cols+col], v, e, e/bound, k)
		}
	}
}
