package conformance

import (
	"encoding/binary"
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
	for _, sizes := range [][]int{{5}, {70_001, 3, 65_536}, {300_000, 1}} {
		s.row(t, fmt.Sprintf("in parts %v", sizes), func(f *fixture) { gradNormInParts(f, sizes) })
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

// gradNormInParts finds the norm from the sums of two parts of the gradients, with the bits of
// GradNorm.
func gradNormInParts(f *fixture, sizes []int) {
	order := f.dev.Info().Squares
	norm := &bindings.GradNorm{Max: 0.5}
	var halves [2]*bindings.SquareSums
	for i := range halves {
		halves[i] = &bindings.SquareSums{Piece: order.Piece}
	}
	for i, n := range sizes {
		whole := bindings.Param{Name: fmt.Sprintf("w%d", i), Grad: f.input(fmt.Sprintf("w%d Grad", i), bindings.F32, 1, n, 1).Tensor}
		norm.Params = append(norm.Params, whole)
		cut := 0
		if i == 0 {
			cut = n / 2 / order.Piece * order.Piece
		}
		for h, part := range [][2]int{{0, cut}, {cut, n}} {
			if part[0] < part[1] {
				p := whole
				p.Grad = whole.Grad.Columns(part[0], part[1])
				halves[h].Params = append(halves[h].Params, p)
			}
		}
	}
	out := f.output("Norm", bindings.F32, 1, 2)
	norm.Out = out.Tensor
	ops := []bindings.Operation{norm}
	var sums []*operand
	for i, h := range halves {
		if n := bindings.Pieces(h.Params, order.Piece); n > 0 {
			sums = append(sums, f.output(fmt.Sprintf("Sums%d", i), bindings.I64, 1, n))
			h.Out = sums[len(sums)-1].Tensor
			ops = append(ops, h)
		}
	}
	f.run(ops)
	var all []float64
	for _, s := range sums {
		for b := s.raw(); len(b) > 0; b = b[8:] {
			all = append(all, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	}
	got := decode(bindings.F32, out.raw())
	joined, factor := bindings.Clip(order.Join(all), norm.Max)
	for i, want := range []float32{joined, factor} {
		if float32(got[i]) != want {
			f.t.Errorf("Out[%d]: got %.9g of all at once, %.9g of %d pieces in two parts", i, got[i], want, len(all))
		}
	}
}
