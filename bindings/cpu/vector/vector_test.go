package vector

import (
	"math"
	"slices"
	"testing"

	"qlora/internal/philox"
)

// activate and activateBackward are Activate and ActivateBackward of rows in float32.
func activate(f Function, y, g, u []float32) {
	Activate(f, rowOf(y, F32), rowOf(g, F32), orAbsent(u))
}

func activateBackward(f Function, dg, du, g, u, dy []float32) {
	ActivateBackward(f, rowOf(dg, F32), orAbsent(du), rowOf(g, F32), orAbsent(u), rowOf(dy, F32))
}

func orAbsent(x []float32) Rows {
	if x == nil {
		return Rows{}
	}
	return rowOf(x, F32)
}

// exp returns e^x by ExpSum.
func exp(x float32) float32 {
	v := []float32{x}
	ExpSum(v, 0)
	return v[0]
}

// TestExp checks exp to 2 ulp, in steps over all float32 whose exponential is neither 0
// nor infinite.
func TestExp(t *testing.T) {
	step := uint32(601)
	if testing.Short() {
		step = 10_007
	}
	worst := 0.0
	for _, sign := range []uint32{0, 1 << 31} {
		for bits := uint32(0); bits < 0x42d10000; bits += step { // up to 104.5
			x := math.Float32frombits(bits | sign)
			want := math.Exp(float64(x))
			got := float64(exp(x))
			if want > math.MaxFloat32*(1+0x1p-25) {
				if !math.IsInf(got, 1) {
					t.Fatalf("exp(%g): got %g, want +Inf", x, got)
				}
				continue
			}
			_, e := math.Frexp(want)
			ulp := math.Ldexp(1, max(e-24, -149))
			if miss := math.Abs(got-want) / ulp; !(miss <= worst) {
				worst = miss
				if !(miss <= 2) {
					t.Fatalf("exp(%g): got %g, want %g, %.2f ulp", x, got, want, miss)
				}
			}
		}
	}
	t.Logf("at most %.3f ulp", worst)
	for _, c := range []struct{ x, want float32 }{
		{0, 1}, {float32(math.Inf(1)), float32(math.Inf(1))}, {float32(math.Inf(-1)), 0}, {1e30, float32(math.Inf(1))}, {-1e30, 0},
	} {
		if got := exp(c.x); got != c.want {
			t.Errorf("exp(%g): got %g, want %g", c.x, got, c.want)
		}
	}
	if got := exp(float32(math.NaN())); got == got {
		t.Errorf("exp(NaN): got %g", got)
	}
}

// TestPlace checks that an element's result does not depend on the length and its
// position.
func TestPlace(t *testing.T) {
	for n := range 35 {
		x, g := make([]float32, n), make([]float32, n)
		var want float64
		for i := range x {
			x[i] = float32(i)*0.37 - 3
			want += float64(exp(x[i] - 0.5))
		}
		copy(g, x)
		y := make([]float32, n)
		activate(SiLU, y, g, x)
		placeOfActivations(t, x)
		got := slices.Clone(x)
		if sum := ExpSum(got, 0.5); math.Abs(sum-want) > 1e-6*want {
			t.Errorf("sum of %d: got %.9g, want %.9g", n, sum, want)
		}
		for i := range x {
			one := []float32{0}
			activate(SiLU, one, g[i:i+1], x[i:i+1])
			if got[i] != exp(x[i]-0.5) || y[i] != one[0] {
				t.Errorf("element %d of %d: got %g and %g, alone %g and %g", i, n, got[i], y[i], exp(x[i]-0.5), one[0])
			}
		}
		if n > 0 && Max(x) != x[n-1] {
			t.Errorf("largest of %d: got %g, want %g", n, Max(x), x[n-1])
		}
	}
	if m := Max([]float32{1, 2, float32(math.NaN()), 3, 0, 0, 0, 0, 9}); m == m {
		t.Errorf("largest with a NaN: got %g", m)
	}
}

// placeOfActivations checks the same for each activation, its slope and the cap.
func placeOfActivations(t *testing.T, x []float32) {
	t.Helper()
	n := len(x)
	for f := SiLU; f <= ReLUSquared; f++ {
		y, dg, du, plain := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		activate(f, y, x, nil)
		activateBackward(f, dg, du, x, x, x)
		activateBackward(f, plain, nil, x, nil, x)
		for i, v := range x {
			one, gate, up, alone := []float32{0}, []float32{0}, []float32{0}, []float32{0}
			at := []float32{v}
			activate(f, one, at, nil)
			activateBackward(f, gate, up, at, at, at)
			activateBackward(f, alone, nil, at, nil, at)
			if y[i] != one[0] || dg[i] != gate[0] || du[i] != up[0] || plain[i] != alone[0] {
				t.Errorf("activation %d: element %d of %d differs from it alone", f, i, n)
			}
		}
	}
	capped := slices.Clone(x)
	Cap(capped, 2)
	for i, v := range x {
		one := []float32{v}
		Cap(one, 2)
		if capped[i] != one[0] {
			t.Errorf("cap: element %d of %d differs from it alone", i, n)
		}
	}
}

// TestActivations checks numbers of every size. The tolerance is relative to the larger of
// the result and its scale: x for values, 1 for slopes.
func TestActivations(t *testing.T) {
	type function struct {
		value, slope func(x float64) float64
	}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	u := func(x float64) float64 { return math.Sqrt(8/math.Pi) * (x + 0.044715*x*x*x) }
	for f, want := range map[Function]function{
		SiLU: {func(x float64) float64 { return x * sigmoid(x) }, func(x float64) float64 { return sigmoid(x) * (1 + x*sigmoid(-x)) }},
		GELU: {func(x float64) float64 { return x * phi(x) }, func(x float64) float64 { return phi(x) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi) }},
		GELUTanh: {func(x float64) float64 { return x * sigmoid(u(x)) }, func(x float64) float64 {
			return sigmoid(u(x)) + x*sigmoid(u(x))*sigmoid(-u(x))*math.Sqrt(8/math.Pi)*(1+3*0.044715*x*x)
		}},
	} {
		for x := float32(0x1p-30); x < 1e9; x *= 1.003 {
			for _, x := range []float32{x, -x} {
				y, slope := []float32{0}, []float32{0}
				activate(f, y, []float32{x}, nil)
				activateBackward(f, slope, nil, []float32{x}, nil, []float32{1})
				at := float64(x)
				value, bound := want.value(at), 0x1p-22*(math.Abs(want.value(at))+min(1, math.Abs(at)))
				if math.Abs(float64(y[0])-value) > bound {
					t.Fatalf("activation %d of %g: got %g, want %g within %.3g", f, x, y[0], value, bound)
				}
				// SiLU multiplies x by 1 - sigmoid, whose rounding error is relative to 1.
				if miss := math.Abs(float64(slope[0]) - want.slope(at)); !(miss <= 0x1p-22*(1+min(20, math.Abs(at))/2)) {
					t.Fatalf("slope of activation %d at %g: got %g, want %g", f, x, slope[0], want.slope(at))
				}
			}
		}
	}
	for _, c := range []struct{ x, relu, squared, slope float32 }{{-2, 0, 0, 0}, {0, 0, 0, 0}, {3, 3, 9, 6}} {
		y, squared, slope := []float32{7}, []float32{7}, []float32{7}
		activate(ReLU, y, []float32{c.x}, nil)
		activate(ReLUSquared, squared, []float32{c.x}, nil)
		activateBackward(ReLUSquared, slope, nil, []float32{c.x}, nil, []float32{1})
		if y[0] != c.relu || squared[0] != c.squared || slope[0] != c.slope {
			t.Errorf("relu of %g: got %g, %g and a slope of %g", c.x, y[0], squared[0], slope[0])
		}
	}
}

// TestCap checks limit·tanh(x/limit) to 4 ulp.
func TestCap(t *testing.T) {
	for x := float32(0x1p-30); x < 1e9; x *= 1.003 {
		for _, x := range []float32{x, -x} {
			for _, limit := range []float32{1, 30, 50} {
				y := []float32{x}
				Cap(y, limit)
				want := float64(limit) * math.Tanh(float64(x)/float64(limit))
				if miss := math.Abs(float64(y[0])-want) / math.Abs(want); !(miss <= 0x1p-22) {
					t.Fatalf("cap of %g at %g: got %g, want %g", x, limit, y[0], want)
				}
			}
		}
	}
}

// TestDropout checks the factors against package philox's masks.
func TestSumAndAdd(t *testing.T) {
	for n := range 1100 {
		x, want := make([]float32, n), 0.0
		for i := range x {
			x[i] = float32(i%7) - 2.5
			want += float64(x[i])
		}
		if sum := Sum(x); sum != want {
			t.Errorf("sum of %d: got %g, want %g", n, sum, want)
		}
		Add(x, 0.5)
		if sum := Sum(x); sum != want+0.5*float64(n) {
			t.Errorf("sum of %d after Add: got %g, want %g", n, sum, want+0.5*float64(n))
		}
	}
}

func TestDropout(t *testing.T) {
	for _, p := range []float32{0, 1e-6, 0.05, 0.5, 0.99} {
		for _, n := range []int{1, 7, 8, 63, 64, 65, 576} {
			d, ref := NewDropout(0x123456789abcdef0, 7, 11, p), philox.NewDropout(0x123456789abcdef0, 7, 11, p)
			got, want, ones := make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range ones {
				ones[i] = 1
			}
			for row := range 5 {
				d.Factors(got, row)
				ref.Apply(want, ones, row)
				if !slices.Equal(got, want) {
					t.Errorf("p %g, row %d of %d columns: got %v, want %v", p, row, n, got, want)
				}
				for from := 0; from < n; from += 16 {
					d.FactorsFrom(got[from:], row, from)
					if !slices.Equal(got[from:], want[from:]) {
						t.Errorf("p %g, row %d of %d columns from %d: got %v, want %v", p, row, n, from, got[from:], want[from:])
					}
				}
			}
		}
	}
}
