package conformance

import (
	"fmt"
	"math"
	"testing"

	"qlora/bindings"
)

func runGradNorm(t *testing.T, s *suite) {
	for _, c := range []struct {
		sizes []int
		max   float64
	}{{[]int{1}, 0}, {[]int{67, 1, 131}, 0.3}, {[]int{200_003, 65_536}, 1}, {[]int{7}, 1e9}} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) {
			op := &bindings.GradNorm{Max: float32(c.max)}
			var sum float64
			n := 0
			for _, size := range c.sizes {
				g := f.input("Grad", bindings.F32, 1, size, 1)
				op.Params = append(op.Params, bindings.Param{Name: "w", Grad: g.Tensor})
				sum += inner(g.values, g.values)
				n += size
			}
			out := f.output("Out", bindings.F32, 1, 2)
			op.Out = out.Tensor
			f.run([]bindings.Operation{op})
			factor := 1.0
			if c.max > 0 {
				factor = min(1, float64(float32(c.max))/(math.Sqrt(sum)+1e-6))
			}
			got := decode(bindings.F32, out.raw())
			for i, want := range []float64{math.Sqrt(sum), factor} {
				if bound := f.tol.relative(n, 0) * want; math.Abs(got[i]-want) > bound {
					t.Errorf("Out[%d]: got %.9g, want %.9g within %.3g", i, got[i], want, bound)
				}
			}
		})
	}
	for _, c := range []struct{ element, max, norm float64 }{
		{math.NaN(), 1, math.NaN()}, {math.NaN(), 0, math.NaN()}, {math.Inf(-1), 1, math.Inf(1)}, {math.Inf(1), 0, math.Inf(1)},
	} {
		s.row(t, fmt.Sprintf("not finite %+v", c), func(f *fixture) {
			g := f.given("Grad", bindings.F32, 1, 3, []float64{1, c.element, 2})
			out := f.output("Out", bindings.F32, 1, 2)
			op := &bindings.GradNorm{Params: []bindings.Param{{Name: "w", Grad: g.Tensor}}, Max: float32(c.max), Out: out.Tensor}
			f.run([]bindings.Operation{op})
			for i, want := range []float64{c.norm, math.NaN()} {
				if got := decode(bindings.F32, out.raw())[i]; !(got == want || math.IsNaN(got) && math.IsNaN(want)) {
					t.Errorf("Out[%d]: got %g, want %g", i, got, want)
				}
			}
		})
	}
}
