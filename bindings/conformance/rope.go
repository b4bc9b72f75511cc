package conformance

import (
	"fmt"
	"math"
	"testing"

	"qlora/bindings"
)

type ropeCase struct {
	tokens, heads, dim, rotary int
	inverse, interleaved       bool
	layout                     layout // X is the queries of a fused projection with one key head
}

func runRoPE(t *testing.T, s *suite) {
	for _, c := range []ropeCase{
		{tokens: 1, heads: 1, dim: 2, rotary: 2},
		{tokens: 7, heads: 3, dim: 64, rotary: 64},
		{tokens: 131, heads: 2, dim: 80, rotary: 32, inverse: true},
		{tokens: 65, heads: 5, dim: 128, rotary: 128, inverse: true},
		{tokens: 5, heads: 1, dim: 6, rotary: 4},
		{tokens: 1, heads: 1, dim: 2, rotary: 2, interleaved: true},
		{tokens: 7, heads: 3, dim: 64, rotary: 64, interleaved: true},
		{tokens: 131, heads: 2, dim: 80, rotary: 32, interleaved: true, inverse: true},
		{tokens: 5, heads: 1, dim: 6, rotary: 4, interleaved: true},
		{tokens: 9, heads: 4, dim: 64, rotary: 64, layout: blocks},
		{tokens: 9, heads: 4, dim: 64, rotary: 16, inverse: true, layout: byKey},
		{tokens: 33, heads: 3, dim: 24, rotary: 12, interleaved: true, layout: byKey},
		{tokens: 33, heads: 1, dim: 20, rotary: 10, interleaved: true, inverse: true, layout: blocks},
		{tokens: 33, heads: 6, dim: 16, rotary: 8, layout: "pairs"},
		{tokens: 33, heads: 6, dim: 16, rotary: 16, interleaved: true, layout: "pairs"},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) { ropeRow(f, c) })
	}
}

func ropeRow(f *fixture, c ropeCase) {
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
	width := c.heads * c.dim
	var x *operand
	switch c.layout {
	case apart:
		x = f.input("X", f.act, c.tokens, width, 1)
	case "pairs": // two heads of every three
		x = f.every("X", f.input("[X, other]", f.act, c.tokens, width*3/2, 1), 3*c.dim, c.dim, 2*c.dim)
	default:
		x = c.layout.fuse(f, f.input("QKV", f.act, c.tokens, width+2*c.dim, 1), c.heads, 1, c.dim).q
	}
	co, si := f.given("Cos", bindings.F32, positions, half, cos), f.given("Sin", bindings.F32, positions, half, sin)
	f.run([]bindings.Operation{&bindings.RoPE{
		X: x.Tensor, Heads: c.heads, HeadDim: c.dim, Positions: f.ints("Positions", at).Tensor,
		Cos: co.Tensor, Sin: si.Tensor, Inverse: c.inverse, Interleaved: c.interleaved,
	}}, x)

	want := append([]float64(nil), x.values...)
	for i, p := range at {
		angles := append([]float64(nil), si.values[int(p)*half:int(p+1)*half]...)
		if c.inverse {
			for j := range angles {
				angles[j] = -angles[j]
			}
		}
		for h := range c.heads {
			rope(want[(i*c.heads+h)*c.dim:], co.values[int(p)*half:int(p+1)*half], angles, c.interleaved)
		}
	}
	x.equals(2, want)
}
