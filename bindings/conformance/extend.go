package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

type extendCase struct {
	tokens, heads, kvHeads, dim int
	rotary                      int // dimensions of a head; 0: no rotation
	interleaved                 bool
	layout                      layout
	norm, centered, bias        bool // of queries and keys
	turns                       int  // rows of the norms' weights: of each head; 0: one
	offset                      float64
	keysOnly                    bool // the queries are ready
	apart                       bool // queries have angles of their own
	rows                        []int32
}

func runExtend(t *testing.T, s *suite) {
	for _, c := range []extendCase{
		{tokens: 1, heads: 4, kvHeads: 2, dim: 64, rotary: 64, rows: []int32{5}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 128, rotary: 128, rows: []int32{6, 0, 3}},
		{tokens: 7, heads: 9, kvHeads: 3, dim: 64, rotary: 64, rows: []int32{1, 2, 3, 8, 9, 4, 0}},
		{tokens: 4, heads: 2, kvHeads: 1, dim: 256, rotary: 256, rows: []int32{2, 3, 4, 5}},
		{tokens: 3, heads: 3, kvHeads: 3, dim: 80, rotary: 32, rows: []int32{8, 7, 6}},
		{tokens: 3, heads: 4, kvHeads: 4, dim: 96, rotary: 24, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 64, rows: []int32{4, 1, 2}},
		{tokens: 2, heads: 3, kvHeads: 1, dim: 20, rows: []int32{0, 9}},
		{tokens: 5, heads: 4, kvHeads: 1, dim: 64, rotary: 64, interleaved: true, rows: []int32{4, 1, 2, 7, 8}},
		{tokens: 2, heads: 4, kvHeads: 2, dim: 128, rotary: 32, interleaved: true, rows: []int32{4, 3}},
		{tokens: 3, heads: 2, kvHeads: 1, dim: 6, rotary: 4, interleaved: true, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 2, kvHeads: 1, dim: 20, rotary: 10, rows: []int32{4, 1, 2}},
		{tokens: 2, heads: 2, kvHeads: 1, dim: 272, rotary: 32, norm: true, rows: []int32{4, 1}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 64, rotary: 64, layout: blocks, rows: []int32{4, 1, 2}},
		{tokens: 9, heads: 4, kvHeads: 4, dim: 64, rotary: 16, layout: byKey, rows: []int32{0, 1, 2, 3, 5, 6, 7, 9, 8}},
		{tokens: 3, heads: 6, kvHeads: 2, dim: 32, rotary: 32, interleaved: true, layout: byKey, rows: []int32{4, 1, 2}},
		{tokens: 2, heads: 6, kvHeads: 2, dim: 20, rotary: 20, layout: byKey, rows: []int32{4, 2}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 128, rotary: 128, norm: true, rows: []int32{4, 1, 2}},
		{tokens: 1, heads: 3, kvHeads: 1, dim: 256, rotary: 64, norm: true, offset: 1, rows: []int32{9}},
		{tokens: 2, heads: 8, kvHeads: 4, dim: 64, rotary: 64, norm: true, centered: true, turns: 1, rows: []int32{4, 5}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 128, rotary: 128, interleaved: true, norm: true, centered: true, turns: 2, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 96, norm: true, bias: true, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 20, rotary: 12, norm: true, centered: true, bias: true, turns: 2, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 2, kvHeads: 2, dim: 6, rotary: 4, interleaved: true, norm: true, centered: true, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 64, keysOnly: true, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 64, rotary: 64, keysOnly: true, rows: []int32{4, 1, 2}},
		{tokens: 3, heads: 4, kvHeads: 2, dim: 64, rotary: 64, apart: true, rows: []int32{4, 1, 2}},
		{tokens: 300, heads: 4, kvHeads: 2, dim: 64, rotary: 64, norm: true}, // a prompt, in rows of the cache that follow each other
		{tokens: 300, heads: 4, kvHeads: 2, dim: 64, rotary: 64, layout: blocks},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) { extendRow(f, c) })
	}
}

// An extended is queries or keys: their operand, and what is to become of them.
type extended struct {
	x     *operand
	heads int
	norm  *bindings.Norm
	rope  *bindings.RoPE
	want  []float64
	pairs []float64 // the sizes of pairs that are rotated; nil: there are none
}

// prepare declares a norm and a rotation of x and computes the reference.
func (c extendCase) prepare(f *fixture, name string, x *operand, heads int, positions bindings.Tensor, at []int32) extended {
	const eps = 1e-5
	e := extended{x: x, heads: heads, want: append([]float64(nil), x.values...)}
	if c.norm {
		turns := max(1, c.turns)
		w := f.input(name+"Norm.Weight", bindings.BF16, turns, c.dim, 1)
		e.norm = &bindings.Norm{Weight: w.Tensor, Offset: float32(c.offset), Centered: c.centered, Eps: eps}
		var b *operand
		if c.bias {
			b = f.input(name+"Norm.Bias", bindings.F32, turns, c.dim, 1)
			e.norm.Bias = b.Tensor
		}
		for i := range c.tokens * heads {
			turn := i % turns * c.dim
			n := normalizer{Weight: w.values[turn:][:c.dim], Offset: c.offset, Eps: eps, Centered: c.centered}
			if b != nil {
				n.Bias = b.values[turn:][:c.dim]
			}
			copy(e.want[i*c.dim:], n.forward(e.want[i*c.dim:][:c.dim]))
		}
	}
	if c.rotary > 0 {
		e.rope = &bindings.RoPE{Positions: positions, Cos: f.cos.Tensor, Sin: f.sin.Tensor, Interleaved: c.interleaved}
		ropeRows(e.want, c.dim, at, f.cos.values, f.sin.values, c.rotary/2, false, c.interleaved)
		e.pairs = pairSizes(e.want, c.dim, c.rotary/2, c.interleaved)
	}
	return e
}

// check compares got, which o holds, with the reference.
func (e *extended) check(o *operand, dim int, got []float64) {
	o.f.t.Helper()
	stored := 1.0
	if e.norm != nil && e.rope != nil {
		stored = 2 // it is rounded between them
	}
	o.compare(dim, stored, func(i int) float64 {
		if e.pairs == nil {
			return 0
		}
		return e.pairs[i]
	}, got, e.want)
}

func extendRow(f *fixture, c extendCase) {
	cached := 10
	if c.rows == nil {
		cached = c.tokens + 5
		for t := range c.tokens {
			c.rows = append(c.rows, int32(3+t))
		}
	}
	nq, nkv := c.heads*c.dim, c.kvHeads*c.dim
	var q, k, v *operand
	if c.layout == apart {
		q, k, v = f.input("Q", f.act, c.tokens, nq, 1), f.input("K", f.act, c.tokens, nkv, 1), f.input("V", f.act, c.tokens, nkv, 1)
	} else {
		fused := c.layout.fuse(f, f.input("QKV", f.act, c.tokens, nq+2*nkv, 1), c.heads, c.kvHeads, c.dim)
		q, k, v = fused.q, fused.k, fused.v
	}
	keys, values := f.input("Keys", f.act, cached, nkv, 1), f.input("Values", f.act, cached, nkv, 1)
	op := &bindings.Extend{
		K: k.Tensor, V: v.Tensor, Heads: c.heads, KVHeads: c.kvHeads, HeadDim: c.dim, Keys: keys.Tensor, Values: values.Tensor,
		Rows: f.ints("Rows", c.rows).Tensor,
	}
	var at []int32
	var positions bindings.Tensor
	if c.rotary > 0 {
		f.angles(50, c.rotary/2)
		at = f.places(c.tokens)
		positions = f.ints("Positions", at).Tensor
	}
	ofK := c.prepare(f, "K", k, c.kvHeads, positions, at)
	op.KNorm, op.KRoPE = ofK.norm, ofK.rope
	overwritten := []*operand{keys, values}
	var ofQ extended
	if !c.keysOnly {
		if c.apart {
			f.angles(50, c.rotary/2)
		}
		ofQ = c.prepare(f, "Q", q, c.heads, positions, at)
		op.Q, op.QNorm, op.QRoPE = q.Tensor, ofQ.norm, ofQ.rope
		overwritten = append(overwritten, q)
	}
	f.run([]bindings.Operation{op}, overwritten...)

	if !c.keysOnly {
		ofQ.check(q, c.dim, q.numbers())
	}
	written, wantValues, wantKeys := keys.numbers(), values.values, keys.values
	var got []float64
	for t, row := range c.rows {
		at := int(row) * nkv
		got = append(got, written[at:at+nkv]...)
		copy(written[at:at+nkv], wantKeys[at:at+nkv])
		copy(wantValues[at:at+nkv], v.values[t*nkv:(t+1)*nkv])
	}
	ofK.check(k, c.dim, got)
	if string(encode(f.act, written)) != string(encode(f.act, wantKeys)) {
		f.t.Errorf("keys of rows other than %v changed", c.rows)
	}
	if string(encode(f.act, values.numbers())) != string(encode(f.act, wantValues)) {
		f.t.Errorf("values are not at %v, or others changed", c.rows)
	}
}
