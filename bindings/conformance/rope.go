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
	keys                       int    // heads of K
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
		{tokens: 7, heads: 9, dim: 64, rotary: 64, keys: 3},
		{tokens: 131, heads: 6, dim: 80, rotary: 32, inverse: true, keys: 2},
		{tokens: 33, heads: 5, dim: 16, rotary: 8, interleaved: true, keys: 1},
		{tokens: 5, heads: 2, dim: 6, rotary: 4, keys: 3},
		{tokens: 9, heads: 4, dim: 64, rotary: 64, layout: blocks, keys: 2},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) { ropeRow(f, c) })
	}
}

func ropeRow(f *fixture, c ropeCase) {
	half := c.rotary / 2
	f.angles(50, half)
	at := f.places(c.tokens)
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
	op := &bindings.RoPE{
		X: x.Tensor, Heads: c.heads, HeadDim: c.dim, Positions: f.ints("Positions", at).Tensor,
		Cos: f.cos.Tensor, Sin: f.sin.Tensor, Inverse: c.inverse, Interleaved: c.interleaved,
	}
	rotated := []*operand{x}
	if c.keys > 0 {
		k := f.input("K", f.act, c.tokens, c.keys*c.dim, 1)
		op.K, op.KVHeads = k.Tensor, c.keys
		rotated = append(rotated, k)
	}
	f.run([]bindings.Operation{op}, rotated...)
	for _, o := range rotated {
		want := append([]float64(nil), o.values...)
		ropeRows(want, c.dim, at, f.cos.values, f.sin.values, half, c.inverse, c.interleaved)
		o.equals(2, want)
	}
}

// angles declares the tables of random angles, [positions, half].
func (f *fixture) angles(positions, half int) {
	cos, sin := make([]float64, positions*half), make([]float64, positions*half)
	for i := range cos {
		angle := f.rng.Float64() * 7
		cos[i], sin[i] = math.Cos(angle), math.Sin(angle)
	}
	f.cos, f.sin = f.given("Cos", bindings.F32, positions, half, cos), f.given("Sin", bindings.F32, positions, half, sin)
}

// places draws the rows' positions.
func (f *fixture) places(rows int) []int32 {
	f.at = make([]int32, rows)
	for i := range f.at {
		f.at[i] = int32(f.rng.IntN(f.cos.Rows))
	}
	return f.at
}

// pairSizes returns for each element of x, the norm of it and the element it is
// rotated with.
func pairSizes(x []float64, dim, half int, interleaved bool) []float64 {
	sizes := make([]float64, len(x))
	for i, v := range x {
		col, other := i%dim, i
		switch {
		case col >= 2*half:
		case interleaved:
			other = i - col + (col ^ 1)
		case col < half:
			other = i + half
		default:
			other = i - half
		}
		sizes[i] = math.Hypot(v, x[other])
	}
	return sizes
}

// ropeRows rotates x, the heads of tokens at positions, by angles [positions, half].
func ropeRows(x []float64, dim int, at []int32, cos, sin []float64, half int, inverse, interleaved bool) {
	width := len(x) / len(at)
	for i, p := range at {
		angles := append([]float64(nil), sin[int(p)*half:int(p+1)*half]...)
		if inverse {
			for j := range angles {
				angles[j] = -angles[j]
			}
		}
		for from := i * width; from < (i+1)*width; from += dim {
			rope(x[from:], cos[int(p)*half:int(p+1)*half], angles, interleaved)
		}
	}
}
