package conformance

import (
	"fmt"
	"math"
	"testing"

	"qlora/bindings"
)

type attendCase struct {
	queries, keys       []int // lengths; nil keys: as the queries
	heads, kvHeads, dim int
	window              int
	alias               bool // DQ on DO
	inference           bool
	size                float64 // of Q and K; large ones make sharp distributions
}

func runAttend(t *testing.T, s *suite) {
	for _, c := range []attendCase{
		{queries: []int{1}, heads: 1, kvHeads: 1, dim: 1, size: 1},
		{queries: []int{7}, heads: 3, kvHeads: 1, dim: 64, size: 1},
		{queries: []int{1, 17, 3}, heads: 4, kvHeads: 2, dim: 20, size: 1, alias: true},
		{queries: []int{129, 5, 131}, heads: 2, kvHeads: 2, dim: 32, size: 2},
		{queries: []int{300, 270}, heads: 2, kvHeads: 1, dim: 64, size: 1, alias: true},
		{queries: []int{521}, heads: 1, kvHeads: 1, dim: 16, size: 1},
		{queries: []int{300, 40}, heads: 2, kvHeads: 1, dim: 16, window: 7, size: 1},
		{queries: []int{600}, heads: 1, kvHeads: 1, dim: 8, window: 259, size: 1, alias: true},
		{queries: []int{20}, heads: 2, kvHeads: 2, dim: 8, window: 1, size: 1},
		{queries: []int{1, 3}, keys: []int{300, 5}, heads: 4, kvHeads: 2, dim: 24, size: 1, inference: true},
		{queries: []int{131}, keys: []int{401}, heads: 2, kvHeads: 1, dim: 24, size: 1},
		{queries: []int{9}, keys: []int{700}, heads: 2, kvHeads: 1, dim: 24, window: 40, size: 1},
		{queries: []int{80}, heads: 2, kvHeads: 1, dim: 64, size: 6},
		{queries: []int{0, 5, 0}, heads: 1, kvHeads: 1, dim: 4, size: 1},
		{queries: []int{70, 9}, heads: 2, kvHeads: 1, dim: 96, size: 1},
		{queries: []int{67, 1}, heads: 2, kvHeads: 1, dim: 128, size: 1, alias: true},
		{queries: []int{40}, keys: []int{130}, heads: 2, kvHeads: 2, dim: 256, size: 1},
		{queries: []int{1, 1, 1}, keys: []int{1, 700, 33}, heads: 6, kvHeads: 2, dim: 128, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{600, 40}, heads: 2, kvHeads: 2, dim: 80, window: 300, size: 1, inference: true},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) { attendRow(f, c) })
	}
}

func attendRow(f *fixture, c attendCase) {
	if c.keys == nil {
		c.keys = c.queries
	}
	q0, k0 := starts(c.queries), starts(c.keys)
	tokens, keys := int(q0[len(q0)-1]), int(k0[len(k0)-1])
	width, kvWidth := c.heads*c.dim, c.kvHeads*c.dim
	scale := float64(float32(1 / (0.5 + float64(c.dim)/8)))
	q := f.input("Q", f.act, tokens, width, c.size)
	k, v := f.input("K", f.act, keys, kvWidth, c.size), f.input("V", f.act, keys, kvWidth, 1)
	do := f.input("DO", f.act, tokens, width, 1)
	o := f.output("O", f.act, tokens, width)
	lse := f.output("LSE", bindings.F32, tokens, c.heads)
	dq := f.output("DQ", f.act, tokens, width)
	dk, dv := f.output("DK", f.act, keys, kvWidth), f.output("DV", f.act, keys, kvWidth)
	op := &bindings.Attend{
		Q: q.Tensor, K: k.Tensor, V: v.Tensor, O: o.Tensor, LSE: lse.Tensor,
		Queries: bindings.Sequences{Starts: q0, Device: f.ints("Queries", q0).Tensor},
		Keys:    bindings.Sequences{Starts: k0, Device: f.ints("Keys", k0).Tensor},
		Heads:   c.heads, KVHeads: c.kvHeads, HeadDim: c.dim, Scale: float32(scale), Window: c.window,
	}
	var overwritten []*operand
	if c.alias {
		dq = do
		overwritten = []*operand{do}
	}
	ops := []bindings.Operation{op}
	if c.inference {
		op.LSE = bindings.Tensor{}
	} else {
		ops = append(ops, &bindings.AttendBackward{Attend: *op, DO: do.Tensor, DQ: dq.Tensor, DK: dk.Tensor, DV: dv.Tensor})
	}
	f.run(ops, overwritten...)

	wantO, wantLSE, wantDQ := make([]float64, tokens*width), make([]float64, tokens*c.heads), make([]float64, tokens*width)
	wantDK, wantDV := make([]float64, keys*kvWidth), make([]float64, keys*kvWidth)
	// What rounds, squared, of each row's heads.
	roundQ, roundK, roundV := make([]float64, tokens*c.heads), make([]float64, keys*c.kvHeads), make([]float64, keys*c.kvHeads)
	for i := range c.queries {
		for h := range c.heads {
			kv := h * c.kvHeads / c.heads
			at := func(x []float64, starts []int32, width, head int) (rows [][]float64) {
				for t := int(starts[i]); t < int(starts[i+1]); t++ {
					rows = append(rows, x[t*width+head*c.dim:][:c.dim])
				}
				return rows
			}
			put := func(dst []float64, starts []int32, width, head int, x [][]float64) {
				for j, row := range at(dst, starts, width, head) {
					axpy(row, 1, x[j])
				}
			}
			a := attention{
				Q: at(q.values, q0, width, h), K: at(k.values, k0, kvWidth, kv), V: at(v.values, k0, kvWidth, kv),
				Scale: scale, Window: c.window,
			}
			out, sums := a.forward()
			put(wantO, q0, width, h, out)
			for j, l := range sums {
				wantLSE[(int(q0[i])+j)*c.heads+h] = l
			}
			dout := at(do.values, q0, width, h)
			gq, gk, gv := a.backward(dout)
			rq, rk, rv := a.rounded(dout)
			for j, r := range rq {
				roundQ[(int(q0[i])+j)*c.heads+h] += r * c.size * c.size
			}
			for j := range rk {
				roundK[(int(k0[i])+j)*c.kvHeads+kv] += rk[j] * c.size * c.size
				roundV[(int(k0[i])+j)*c.kvHeads+kv] += rv[j]
			}
			put(wantDQ, q0, width, h, gq)
			put(wantDK, k0, kvWidth, kv, gk)
			put(wantDV, k0, kvWidth, kv, gv)
		}
	}
	// A score is a sum of dim terms and has the size sigma; its rounding is the
	// same share of a probability: sqrt(dim)·sigma units, as a sum of dim·sigma²
	// terms of the size 1 would have.
	sigma := 1 + c.size*c.size*math.Sqrt(float64(c.dim))*scale
	depth := max(keys, c.dim) + int(sigma*sigma*float64(c.dim))
	of := func(rounds []float64) func(int) float64 {
		return func(i int) float64 { return math.Sqrt(rounds[i/c.dim]) }
	}
	o.equals(depth, wantO)
	if !c.inference {
		lse.sums(depth, wantLSE)
		dq.nearEach(2*depth, of(roundQ), wantDQ)
		dk.nearEach(2*depth+tokens, of(roundK), wantDK)
		dv.nearEach(depth+tokens, of(roundV), wantDV)
	}
}

func starts(lengths []int) []int32 {
	s := []int32{0}
	for _, n := range lengths {
		s = append(s, s[len(s)-1]+int32(n))
	}
	return s
}
