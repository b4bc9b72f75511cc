package vector

import (
	"math"
	"slices"
	"testing"

	"qlora/internal/philox"
)

// exp is one element by ExpSum.
func exp(x float32) float32 {
	v := []float32{x}
	ExpSum(v, 0)
	return v[0]
}

// TestExp goes over every float32 whose exponential is neither 0 nor infinite,
// in steps, and holds exp to 2 units in the last place of the result.
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

// TestPlace holds every length and place to what one element alone gives.
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
		Activate(SiLU, y, g, x)
		got := slices.Clone(x)
		if sum := ExpSum(got, 0.5); math.Abs(sum-want) > 1e-6*want {
			t.Errorf("sum of %d: got %.9g, want %.9g", n, sum, want)
		}
		for i := range x {
			one := []float32{0}
			Activate(SiLU, one, g[i:i+1], x[i:i+1])
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

// TestDropout holds the factors to package philox's masks.
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
			}
		}
	}
}
