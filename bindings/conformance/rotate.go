package conformance

import (
	"fmt"
	"math"
	"testing"

	"qlora/bindings"
)

func runRoPE(t *testing.T, s *suite) {
	for _, c := range []struct {
		tokens, heads, dim, rotary int
		inverse                    bool
	}{
		{1, 1, 2, 2, false}, {7, 3, 64, 64, false}, {131, 2, 80, 32, true}, {65, 5, 128, 128, true}, {5, 1, 6, 4, false},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) {
			const positions = 50
			half := c.rotary / 2
			cos, sin := make([]float64, positions*half), make([]float64, positions*half)
			for i := range cos {
				angle := f.rng.Float64() * 7
				cos[i], sin[i] = math.Cos(angle), math.Sin(angle)
			}
			at := make([]int32, c.tokens)
			for i := range at {
				at[i] = int32(f.rng.IntN(positions))
			}
			x := f.input("X", f.act, c.tokens, c.heads*c.dim, 1)
			co, si := f.given("Cos", bindings.F32, positions, half, cos), f.given("Sin", bindings.F32, positions, half, sin)
			op := &bindings.RoPE{
				X: x.Tensor, Heads: c.heads, HeadDim: c.dim, Positions: f.ints("Positions", at).Tensor,
				Cos: co.Tensor, Sin: si.Tensor, Inverse: c.inverse,
			}
			f.run([]bindings.Operation{op}, x)

			want := append([]float64(nil), x.values...)
			for i, p := range at {
				angles := append([]float64(nil), si.values[int(p)*half:int(p+1)*half]...)
				if c.inverse {
					for j := range angles {
						angles[j] = -angles[j]
					}
				}
				for h := range c.heads {
					rotate(want[(i*c.heads+h)*c.dim:], co.values[int(p)*half:int(p+1)*half], angles)
				}
			}
			x.equals(2, want)
		})
	}
}
