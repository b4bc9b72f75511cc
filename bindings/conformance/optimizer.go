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
			f.run([]any{op}, func() { f.dev.GradNorm(op) })
			factor := 1.0
			if c.max > 0 {
				factor = min(1, float64(float32(c.max))/(math.Sqrt(sum)+1e-6))
			}
			got := decode(bindings.F32, out.raw())
			for i, want := range []float64{math.Sqrt(sum), factor} {
				if bound := f.tol.relative(n) * want; math.Abs(got[i]-want) > bound {
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
			f.run([]any{op}, func() { f.dev.GradNorm(op) })
			for i, want := range []float64{c.norm, math.NaN()} {
				if got := decode(bindings.F32, out.raw())[i]; !(got == want || math.IsNaN(got) && math.IsNaN(want)) {
					t.Errorf("Out[%d]: got %g, want %g", i, got, want)
				}
			}
		})
	}
}

func runAdamW(t *testing.T, s *suite) {
	for _, c := range []struct {
		size, step int
		value      bindings.DType
		clip       float64
		decay      bool
	}{
		{1, 1, bindings.F32, 1, true},
		{67, 2, bindings.BF16, 0.5, true},
		{40_003, 1000, bindings.F32, 0.3, false},
		{131, 7, bindings.F16, 1, false},
		{67, 1, bindings.F32, math.NaN(), true},
		{67, 3, bindings.BF16, math.Inf(1), true},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) {
			w, g := f.input("Master", bindings.F32, 1, c.size, 1), f.input("Grad", bindings.F32, 1, c.size, 1)
			m, v := f.input("M", bindings.F32, 1, c.size, 0.1), f.input("V", bindings.F32, 1, c.size, 0.1)
			for i := range v.values {
				v.values[i] *= v.values[i]
			}
			v.initial = encode(bindings.F32, v.values)
			v.values = decode(bindings.F32, v.initial)
			clip := f.given("Clip", bindings.F32, 1, 2, []float64{3, c.clip})
			value := w
			if c.value != bindings.F32 {
				value = f.input("Value", c.value, 1, c.size, 1)
			}
			finite := !math.IsNaN(c.clip) && !math.IsInf(c.clip, 0)
			overwritten := []*operand{w, m, v, value}
			if !finite {
				overwritten = nil // nothing may change
			}
			op := &bindings.AdamW{
				Params: []bindings.Param{{
					Name: "w", Value: value.Tensor, Master: w.Tensor, Grad: g.Tensor,
					M: m.Tensor, V: v.Tensor, Decay: c.decay,
				}},
				LR: 0.01, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: c.step, Clip: clip.Tensor,
			}
			f.run([]any{op}, func() { f.dev.AdamW(op) }, overwritten...)
			if !finite {
				return
			}
			wantW, wantM, wantV := make([]float64, c.size), make([]float64, c.size), make([]float64, c.size)
			for i := range wantW {
				decay := 0.0
				if c.decay {
					decay = op.WeightDecay
				}
				wantW[i], wantM[i], wantV[i] = adamw(w.values[i], g.values[i]*clip.values[1], m.values[i], v.values[i],
					op.LR, op.Beta1, op.Beta2, op.Eps, decay, c.step)
			}
			w.equals(4, wantW)
			m.equals(4, wantM)
			v.equals(4, wantV)
			if c.value != bindings.F32 {
				if got, want := value.raw(), encode(c.value, decode(bindings.F32, w.raw())); string(got) != string(want) {
					t.Error("Value is not Master rounded to nearest even")
				}
			}
		})
	}
}
