package cpu

import (
	"math"
	"testing"
)

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
