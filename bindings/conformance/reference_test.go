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

// differentiate compares grad with central differences of f over x. With steps
// of 1e-5 in float64 the error of a difference is about 1e-10 from the cubic
// term and 1e-11 from rounding.
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

// differentiateLinear holds every gradient of the sum of weight·y.
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

	// With the norms as magnitudes and nothing dropped it is a plain adapter.
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

// TestDecomposedProjectIsPEFTs holds the reference to what PEFT's DoRA layer computes
// (testdata/dora.py), dropout included: it drops what the direction sees, and not
// what the base's own output does.
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
	x, w, weight := normals(r, 7), normals(r, 7), normals(r, 7)
	f := func() float64 { y, _ := norm(x, w, 1e-3); return inner(y, weight) }
	dx, dw := normBackward(x, w, weight, 1e-3)
	differentiate(t, "x", x, dx, f)
	differentiate(t, "w", w, dw, f)
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
	for _, window := range []int{0, 2} {
		a := attention{Q: random(4), K: random(6), V: random(6), Scale: 0.6, Window: window}
		weight := random(4)
		f := func() float64 {
			o, _ := a.forward()
			var sum float64
			for i := range o {
				sum += inner(o[i], weight[i])
			}
			return sum
		}
		dq, dk, dv := a.backward(weight)
		for i := range a.Q {
			differentiate(t, "q", a.Q[i], dq[i], f)
		}
		for i := range a.K {
			differentiate(t, "k", a.K[i], dk[i], f)
			differentiate(t, "v", a.V[i], dv[i], f)
		}
	}
}

func TestGateReference(t *testing.T) {
	for _, g := range []float64{-9, -1, 0, 0.3, 4} {
		x := []float64{g, 1.7}
		dg, du := gateBackward(x[0], x[1], 0.8)
		differentiate(t, "g, u", x, []float64{dg, du}, func() float64 { return 0.8 * gate(x[0], x[1]) })
	}
}

func TestRotateReference(t *testing.T) {
	// A turn by a right angle takes (a, b) to (-b, a); turning back undoes it.
	x := []float64{1, 2, 3, 4}
	rotate(x, []float64{0, 1}, []float64{1, 0})
	for i, want := range []float64{-3, 2, 1, 4} {
		if x[i] != want {
			t.Errorf("element %d: got %g, want %g", i, x[i], want)
		}
	}
}

func TestLossReference(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	x := normals(r, 6)
	_, g, _ := crossEntropy(x, 2)
	differentiate(t, "logits", x, g, func() float64 { l, _, _ := crossEntropy(x, 2); return l })
}
