package conformance

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// differentiate compares grad with central differences of f over x. With steps of 1e-5 in
// float64 the error of a difference is about 1e-10 from the cubic term and 1e-11 from
// rounding.
func differentiate(t *testing.T, name string, x, grad []float64, f func() float64) {
	t.Helper()
	const h = 1e-5
	for i := range x {
		at := x[i]
		x[i] = at + h
		up := f()
		x[i] = at - h
		down := f()
		x[i] = at
		want := (up - down) / (2 * h)
		if math.Abs(grad[i]-want) > 1e-7*(1+math.Abs(want)) {
			t.Errorf("%s[%d]: got %.10g, want %.10g by differences", name, i, grad[i], want)
		}
	}
}

func normals(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func TestProjectReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func(m, n int) *mat.Dense { return mat.NewDense(m, n, normals(r, m*n)) }
	l := linear{W: random(4, 5), Bias: normals(r, 4), A: random(2, 5), B: random(4, 2), Mask: random(3, 5), Scale: 0.7}
	differentiateLinear(t, &l, random(3, 5), random(3, 4))
}

// differentiateLinear checks every gradient of the sum of weight·y.
func differentiateLinear(t *testing.T, l *linear, x, weight *mat.Dense) {
	t.Helper()
	f := func() float64 {
		y, _ := l.forward(x)
		y.MulElem(y, weight)
		return mat.Sum(y)
	}
	g := l.backward(x, weight)
	differentiate(t, "x", x.RawMatrix().Data, g.X.RawMatrix().Data, f)
	if g.W != nil {
		differentiate(t, "w", l.W.RawMatrix().Data, g.W.RawMatrix().Data, f)
	}
	differentiate(t, "a", l.A.RawMatrix().Data, g.A.RawMatrix().Data, f)
	differentiate(t, "b", l.B.RawMatrix().Data, g.B.RawMatrix().Data, f)
	differentiate(t, "bias", l.Bias, g.Bias, f)
	differentiate(t, "magnitude", l.Magnitude, g.Magnitude, f)
}

func TestDecomposedProjectReference(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(m, n int) *mat.Dense { return mat.NewDense(m, n, normals(r, m*n)) }
	l := linear{
		W: random(4, 5), Bias: normals(r, 4), A: random(2, 5), B: random(4, 2), Mask: random(3, 5), Scale: 0.7,
		Magnitude: normals(r, 4), Norms: []float64{0.5, 1, 2, 3},
	}
	x := random(3, 5)
	differentiateLinear(t, &l, x, random(3, 4))

	// With magnitudes equal to the norms and without dropout, it is a plain adapter.
	l.Mask, l.Norms = nil, l.rowNorms()
	l.Magnitude = l.Norms
	plain := l
	plain.Magnitude = nil
	got, _ := l.forward(x)
	want, _ := plain.forward(x)
	if !mat.EqualApprox(got, want, 1e-12) {
		t.Errorf("magnitudes at their norms: got %v, want %v", mat.Formatted(got), mat.Formatted(want))
	}
}

// TestDecomposedProjectIsPEFTs checks the reference against PEFT's DoRA layer
// (testdata/dora.py), including dropout, which applies to the direction's input but not
// to the base's.
func TestDecomposedProjectIsPEFTs(t *testing.T) {
	var rows []struct {
		Dropout, Scale                    float64
		Mask, X, DY, Y, DX, W, Bias, A, B []float64
		Magnitude, DA, DB, DMagnitude     []float64
	}
	text, err := os.ReadFile("testdata/dora.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 {
		t.Fatalf("%d cases, want one with dropout and one without", len(rows))
	}
	const tokens, in, out, rank = 3, 5, 4, 2
	for _, c := range rows {
		l := linear{
			W: mat.NewDense(out, in, c.W), Bias: c.Bias, A: mat.NewDense(rank, in, c.A), B: mat.NewDense(out, rank, c.B),
			Scale: c.Scale, Magnitude: c.Magnitude,
		}
		if c.Dropout > 0 {
			l.Mask = mat.NewDense(tokens, in, c.Mask)
		}
		l.Norms = l.rowNorms()
		x, dy := mat.NewDense(tokens, in, c.X), mat.NewDense(tokens, out, c.DY)
		y, _ := l.forward(x)
		g := l.backward(x, dy)
		for _, v := range []struct {
			name      string
			got, want []float64
		}{
			{"Y", y.RawMatrix().Data, c.Y},
			{"DX", g.X.RawMatrix().Data, c.DX},
			{"DA", g.A.RawMatrix().Data, c.DA},
			{"DB", g.B.RawMatrix().Data, c.DB},
			{"DMagnitude", g.Magnitude, c.DMagnitude},
		} {
			if !floats.EqualApprox(v.got, v.want, 1e-12) {
				t.Errorf("dropout %v: %s: got %v, want %v", c.Dropout, v.name, v.got, v.want)
			}
		}
	}
}

func TestNormReference(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	x, weight := normals(r, 7), normals(r, 7)
	for _, n := range []normalizer{
		{Weight: normals(r, 7), Eps: 1e-3},
		{Weight: normals(r, 7), Eps: 1e-3, Offset: 1},
		{Weight: normals(r, 7), Bias: normals(r, 7), Eps: 1e-3, Centered: true},
		{Eps: 1e-3, Centered: true},
	} {
		f := func() float64 { return inner(n.forward(x), weight) }
		dx, dw := n.backward(x, weight)
		differentiate(t, "x", x, dx, f)
		differentiate(t, "w", n.Weight, dw, f)
		differentiate(t, "b", n.Bias, weight, f)
	}
}

func TestAttendReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	random := func(n int) [][]float64 {
		m := make([][]float64, n)
		for i := range m {
			m[i] = normals(r, 3)
		}
		return m
	}
	sink := []float64{0.7}
	bias := normals(r, 6)
	keep := [][]float64{{2, 0, 2, 2, 0, 2}, {0, 2, 2, 2, 2, 2}, {2, 2, 0, 2, 2, 2}, {2, 2, 2, 0, 0, 0}}
	for _, a := range []attention{
		{Scale: 0.6},
		{Scale: 0.6, Window: 2},
		{Scale: 0.6, Cap: 0.9},
		{Scale: 0.6, Bias: bias, Window: 3},
		{Scale: 0.6, Sink: sink},
		{Scale: 0.6, Keep: keep},
		{Scale: 0.6, Cap: 0.9, Bias: bias, Sink: sink, Keep: keep, Window: 5},
	} {
		a.Q, a.K, a.V = random(4), random(6), random(6)
		weight := random(4)
		f := func() float64 {
			o, _ := a.forward()
			var sum float64
			for i := range o {
				sum += inner(o[i], weight[i])
			}
			return sum
		}
		dq, dk, dv, dsink := a.backward(weight)
		differentiate(t, "sink", a.Sink, []float64{dsink}, f)
		for i := range a.Q {
			differentiate(t, "q", a.Q[i], dq[i], f)
		}
		for i := range a.K {
			differentiate(t, "k", a.K[i], dk[i], f)
			differentiate(t, "v", a.V[i], dv[i], f)
		}
	}
}

func TestActivateReference(t *testing.T) {
	for _, kind := range activations {
		for _, g := range []float64{-9, -1, -0.001, 0.3, 1, 4} {
			x := []float64{g}
			_, slope := activation(kind, g)
			differentiate(t, kind.String(), x, []float64{slope}, func() float64 { v, _ := activation(kind, x[0]); return v })
		}
	}
	for _, x := range []float64{-9, -1, 0, 0.3, 4} {
		at := []float64{x}
		_, slope := capped(x, 3)
		differentiate(t, "cap", at, []float64{slope}, func() float64 { v, _ := capped(at[0], 3); return v })
	}
}

func TestRoPEReference(t *testing.T) {
	// Rotation by a right angle maps (a, b) to (-b, a); the inverse undoes it.
	for _, c := range []struct {
		interleaved bool
		want        []float64
	}{{false, []float64{-3, 2, 1, 4}}, {true, []float64{-2, 1, 3, 4}}} {
		x := []float64{1, 2, 3, 4}
		rope(x, []float64{0, 1}, []float64{1, 0}, c.interleaved)
		if !floats.Equal(x, c.want) {
			t.Errorf("interleaved %t: got %g, want %g", c.interleaved, x, c.want)
		}
	}
}

func TestLossReference(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	x := normals(r, 6)
	for _, smoothing := range []float64{0, 0.3, 1} {
		_, g, _ := crossEntropy(x, 2, smoothing)
		differentiate(t, "logits", x, g, func() float64 { l, _, _ := crossEntropy(x, 2, smoothing); return l })
	}
}
