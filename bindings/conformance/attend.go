package conformance

import (
	"fmt"
	"math"
	"testing"

	"qlora/bindings"
)

type attendCase struct {
	queries, keys       []int // lengths; nil keys: the queries'
	heads, kvHeads, dim int
	window              int
	alias               bool // DQ on DO
	inference           bool
	size                float64 // of Q and K; large ones make sharp distributions
	layout              layout
	cap                 float64
	bias                float64 // slope of the first head's bias, halved for each next head; 0: none
	sinks               bool
	frozen              bool // no DSinks
	dropout             float32
}

// A turnCase rotates the gradients of an attendCase back. The names of other rows, and so their
// numbers, do not have it.
type turnCase struct {
	attendCase
	rotary      int // dimensions of a head; 0: none
	interleaved bool
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
		{queries: []int{1, 0, 1, 0}, keys: []int{40, 70, 33, 0}, heads: 4, kvHeads: 2, dim: 32, size: 1, inference: true},
		{queries: []int{70, 9}, heads: 2, kvHeads: 1, dim: 96, size: 1},
		{queries: []int{67, 1}, heads: 2, kvHeads: 1, dim: 128, size: 1, alias: true},
		{queries: []int{40}, keys: []int{130}, heads: 2, kvHeads: 2, dim: 256, size: 1},
		{queries: []int{1, 1, 1}, keys: []int{1, 700, 33}, heads: 6, kvHeads: 2, dim: 128, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{600, 40}, heads: 2, kvHeads: 2, dim: 80, window: 300, size: 1, inference: true},
		// Heads of every width over several tiles of queries and of keys: whole sequences, windows,
		// caches.
		{queries: []int{270}, heads: 4, kvHeads: 2, dim: 64, window: 130, size: 1, alias: true},
		{queries: []int{131}, keys: []int{301}, heads: 2, kvHeads: 1, dim: 64, size: 2, alias: true},
		{queries: []int{200, 129}, heads: 2, kvHeads: 1, dim: 80, size: 1, alias: true},
		{queries: []int{131}, keys: []int{270}, heads: 2, kvHeads: 1, dim: 80, window: 90, size: 1},
		{queries: []int{200, 129}, heads: 2, kvHeads: 1, dim: 96, size: 1, alias: true},
		{queries: []int{131}, keys: []int{270}, heads: 2, kvHeads: 1, dim: 96, window: 90, size: 1},
		{queries: []int{129}, heads: 1, kvHeads: 1, dim: 128, window: 67, size: 1, alias: true},
		{queries: []int{270, 140}, heads: 2, kvHeads: 1, dim: 128, size: 1, alias: true},
		{queries: []int{300}, heads: 2, kvHeads: 1, dim: 128, window: 190, size: 1},
		{queries: []int{131}, keys: []int{301}, heads: 3, kvHeads: 1, dim: 128, size: 2, alias: true},
		{queries: []int{140, 67}, heads: 2, kvHeads: 1, dim: 256, window: 70, size: 1, alias: true},
		{queries: []int{70}, keys: []int{170}, heads: 2, kvHeads: 1, dim: 256, size: 1, alias: true},
		{queries: []int{40}, heads: 1, kvHeads: 1, dim: 256, size: 1},
		{queries: []int{40}, heads: 1, kvHeads: 1, dim: 256, cap: 5, size: 1},
		// One query a sequence, at every width.
		{queries: []int{1, 1}, keys: []int{300, 40}, heads: 4, kvHeads: 2, dim: 24, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{270, 40}, heads: 2, kvHeads: 1, dim: 64, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{270, 9}, heads: 2, kvHeads: 1, dim: 96, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{180, 40}, heads: 2, kvHeads: 1, dim: 128, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{40, 60}, heads: 2, kvHeads: 1, dim: 256, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{600, 40}, heads: 4, kvHeads: 2, dim: 256, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{300, 40}, heads: 4, kvHeads: 2, dim: 24, cap: 5, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{270, 9}, heads: 2, kvHeads: 1, dim: 96, cap: 5, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{180, 40}, heads: 2, kvHeads: 1, dim: 128, cap: 5, size: 1, inference: true},
		{queries: []int{1, 1}, keys: []int{40, 60}, heads: 2, kvHeads: 1, dim: 256, cap: 5, size: 1, inference: true},
		// Columns of a fused projection, and of a fused cache.
		{queries: []int{70, 9}, heads: 4, kvHeads: 4, dim: 64, size: 1, layout: blocks},
		{queries: []int{33, 1}, heads: 6, kvHeads: 2, dim: 32, size: 1, layout: blocks},
		{queries: []int{17}, heads: 3, kvHeads: 1, dim: 20, size: 1, layout: blocks, alias: true},
		{queries: []int{70, 9}, heads: 4, kvHeads: 4, dim: 64, size: 1, layout: byKey},
		{queries: []int{33, 140}, heads: 8, kvHeads: 2, dim: 64, size: 1, layout: byKey},
		{queries: []int{33}, heads: 5, kvHeads: 1, dim: 64, size: 1, window: 9, layout: byKey},
		{queries: []int{5, 1}, keys: []int{300, 40}, heads: 4, kvHeads: 2, dim: 64, size: 1, layout: blocks},
		{queries: []int{5, 1}, keys: []int{300, 40}, heads: 4, kvHeads: 4, dim: 64, size: 1, layout: byKey},
		{queries: []int{1, 1}, keys: []int{300, 40}, heads: 4, kvHeads: 2, dim: 128, size: 1, layout: byKey, inference: true},
		// A cap (Gemma 2), with and without its window.
		{queries: []int{70, 9}, heads: 4, kvHeads: 2, dim: 64, size: 2, cap: 2},
		{queries: []int{300}, heads: 2, kvHeads: 1, dim: 32, size: 1, cap: 50, window: 70},
		{queries: []int{3}, keys: []int{301}, heads: 2, kvHeads: 1, dim: 32, size: 3, cap: 5, window: 270},
		{queries: []int{1, 1}, keys: []int{301, 7}, heads: 4, kvHeads: 2, dim: 64, size: 2, cap: 3, inference: true},
		{queries: []int{67}, heads: 2, kvHeads: 1, dim: 256, size: 1, cap: 30, alias: true},
		// A bias of the keys (ALiBi).
		{queries: []int{70, 9}, heads: 4, kvHeads: 4, dim: 64, size: 1, bias: 0.5},
		{queries: []int{300}, heads: 6, kvHeads: 2, dim: 32, size: 1, bias: 0.25, layout: byKey},
		{queries: []int{9}, keys: []int{300}, heads: 2, kvHeads: 1, dim: 32, size: 1, bias: 0.25},
		{queries: []int{1, 1}, keys: []int{300, 33}, heads: 4, kvHeads: 1, dim: 64, size: 1, bias: 0.5, layout: blocks, inference: true},
		// Sinks (GPT-OSS).
		{queries: []int{70, 9}, heads: 4, kvHeads: 2, dim: 64, size: 1, sinks: true},
		{queries: []int{200, 1}, heads: 4, kvHeads: 1, dim: 64, size: 1, window: 67, sinks: true},
		{queries: []int{20}, heads: 2, kvHeads: 2, dim: 8, window: 1, size: 1, sinks: true, frozen: true, alias: true},
		{queries: []int{9}, keys: []int{300}, heads: 2, kvHeads: 1, dim: 32, size: 1, sinks: true, alias: true},
		{queries: []int{1, 1}, keys: []int{300, 33}, heads: 4, kvHeads: 1, dim: 64, size: 1, sinks: true, inference: true},
		// Dropout of the probabilities (GPT-2).
		{queries: []int{70, 9}, heads: 4, kvHeads: 4, dim: 64, size: 1, dropout: 0.1, layout: blocks},
		{queries: []int{300}, heads: 2, kvHeads: 1, dim: 32, size: 1, dropout: 0.5, alias: true},
		{queries: []int{300, 3}, heads: 2, kvHeads: 1, dim: 16, size: 1, window: 67, dropout: 0.25},
		{queries: []int{70}, keys: []int{301}, heads: 4, kvHeads: 2, dim: 64, size: 1, dropout: 0.1},
		{queries: []int{1, 9}, keys: []int{33, 9}, heads: 4, kvHeads: 2, dim: 64, size: 1, dropout: 0.1, inference: true},
		// All options together.
		{queries: []int{140, 3}, heads: 4, kvHeads: 2, dim: 64, size: 1, window: 67, cap: 5, bias: 0.125, sinks: true, dropout: 0.2, layout: byKey},
		{queries: []int{9, 3}, keys: []int{290, 3}, heads: 4, kvHeads: 1, dim: 32, size: 1, cap: 5, bias: 0.125, sinks: true, dropout: 0.2, layout: blocks},
		{queries: []int{33}, heads: 2, kvHeads: 1, dim: 96, size: 1, cap: 5, bias: 0.125, sinks: true, dropout: 0.1, layout: blocks},
		{queries: []int{70, 9}, heads: 2, kvHeads: 1, dim: 128, size: 1, window: 40, cap: 5, bias: 0.125, sinks: true, dropout: 0.2, layout: byKey},
		{queries: []int{35}, keys: []int{50}, heads: 2, kvHeads: 1, dim: 256, size: 1, cap: 5, bias: 0.125, sinks: true, dropout: 0.2, layout: byKey},
		{queries: []int{1, 1}, keys: []int{600, 40}, heads: 4, kvHeads: 2, dim: 256, size: 1, cap: 5, bias: 0.125, sinks: true, layout: byKey, inference: true},
		// A bias whose exponential overflows float32, in a partly filled tile.
		{queries: []int{41}, heads: 2, kvHeads: 1, dim: 32, size: 1, bias: 8},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) { attendRow(f, turnCase{attendCase: c}) })
	}
	for _, c := range []turnCase{
		{attendCase: attendCase{queries: []int{70, 9}, heads: 4, kvHeads: 2, dim: 64, size: 1, alias: true}, rotary: 64},
		{attendCase: attendCase{queries: []int{33}, heads: 2, kvHeads: 1, dim: 32, size: 1}, rotary: 32, interleaved: true},
		{attendCase: attendCase{queries: []int{131}, heads: 2, kvHeads: 1, dim: 128, size: 1, alias: true}, rotary: 128},
		{attendCase: attendCase{queries: []int{40}, heads: 2, kvHeads: 1, dim: 80, size: 1}, rotary: 32},
		{attendCase: attendCase{queries: []int{40}, heads: 2, kvHeads: 1, dim: 20, size: 1}, rotary: 8},
		{attendCase: attendCase{queries: []int{40}, heads: 2, kvHeads: 1, dim: 256, size: 1}, rotary: 256},
		{attendCase: attendCase{queries: []int{33, 9}, heads: 4, kvHeads: 2, dim: 96, size: 1, layout: byKey}, rotary: 48, interleaved: true},
	} {
		s.row(t, fmt.Sprintf("rotated back %+v", c), func(f *fixture) { attendRow(f, c) })
	}
}

func attendRow(f *fixture, c turnCase) {
	if c.keys == nil {
		c.keys = c.queries
	}
	q0, k0 := starts(c.queries), starts(c.keys)
	tokens, keys := int(q0[len(q0)-1]), int(k0[len(k0)-1])
	width, kvWidth := c.heads*c.dim, c.kvHeads*c.dim
	scale := float64(float32(1 / (0.5 + float64(c.dim)/8)))
	in := c.layout.triple(f, "", tokens, keys, c.heads, c.kvHeads, c.dim, func(name string, rows, cols int) *operand {
		if name == "V" {
			return f.input(name, f.act, rows, cols, 1)
		}
		return f.input(name, f.act, rows, cols, c.size)
	})
	q, k, v := in.q, in.k, in.v
	do := f.input("DO", f.act, tokens, width, 1)
	o := f.output("O", f.act, tokens, width)
	lse := f.output("LSE", bindings.F32, tokens, c.heads)
	out := c.layout.triple(f, "D", tokens, keys, c.heads, c.kvHeads, c.dim, func(name string, rows, cols int) *operand {
		return f.output(name, f.act, rows, cols)
	})
	dq, dk, dv := out.q, out.k, out.v
	op := &bindings.Attend{
		Q: q.Tensor, K: k.Tensor, V: v.Tensor, O: o.Tensor, LSE: lse.Tensor,
		Queries: bindings.Sequences{Starts: q0, Device: f.ints("Queries", q0).Tensor},
		Keys:    bindings.Sequences{Starts: k0, Device: f.ints("Keys", k0).Tensor},
		Heads:   c.heads, KVHeads: c.kvHeads, HeadDim: c.dim, Scale: float32(scale), Window: c.window,
		Cap: float32(c.cap), Dropout: c.dropout, Stream: bindings.ModelStream + 5,
		Random: f.draws(tokens, bindings.Random{Train: !c.inference, Seed: f.rng.Uint64(), Step: 3}),
	}
	var overwritten []*operand
	if c.alias {
		if c.layout != apart {
			out.q.base.views = out.q.base.views[1:] // nothing writes DQ there
		}
		dq = do
		overwritten = []*operand{do}
	}
	var bias, sinks, dsinks *operand
	if c.bias != 0 {
		bias = f.keyBias(c.bias, c.heads, op.Keys.Longest()+3)
		op.KeyBias = bias.Tensor
	}
	if c.sinks {
		sinks = f.input("Sinks", bindings.F32, 1, c.heads, 1)
		op.Sinks = sinks.Tensor
	}
	ops := []bindings.Operation{op}
	if c.inference {
		op.LSE = bindings.Tensor{}
	} else {
		backward := &bindings.AttendBackward{Attend: *op, DO: do.Tensor, DQ: dq.Tensor, DK: dk.Tensor, DV: dv.Tensor}
		if c.sinks && !c.frozen {
			dsinks = f.input("DSinks", bindings.F32, 1, c.heads, 1)
			backward.DSinks = dsinks.Tensor
			overwritten = append(overwritten, dsinks)
		}
		c.turn(f, backward)
		ops = append(ops, backward)
	}
	f.run(ops, overwritten...)

	wantO, wantLSE, wantDQ := make([]float64, tokens*width), make([]float64, tokens*c.heads), make([]float64, tokens*width)
	wantDK, wantDV, wantDSinks := make([]float64, keys*kvWidth), make([]float64, keys*kvWidth), make([]float64, c.heads)
	// Squared magnitudes of the rounded values, by row and head.
	roundQ, roundK, roundV := make([]float64, tokens*c.heads), make([]float64, keys*c.kvHeads), make([]float64, keys*c.kvHeads)
	roundSinks := make([]float64, c.heads)
	keep := c.kept(op, tokens)
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
				Scale: scale, Window: c.window, Cap: c.cap,
			}
			if bias != nil {
				a.Bias = bias.values[h*bias.Cols:]
			}
			if sinks != nil {
				a.Sink = sinks.values[h : h+1]
			}
			if keep != nil {
				for t := int(q0[i]); t < int(q0[i+1]); t++ {
					a.Keep = append(a.Keep, keep[t*c.heads+h])
				}
			}
			out, sums := a.forward()
			put(wantO, q0, width, h, out)
			for j, l := range sums {
				wantLSE[(int(q0[i])+j)*c.heads+h] = l
			}
			dout := at(do.values, q0, width, h)
			gq, gk, gv, gs := a.backward(dout)
			rq, rk, rv, rs := a.rounded(dout)
			for j, r := range rq {
				roundQ[(int(q0[i])+j)*c.heads+h] += r * c.size * c.size
			}
			for j := range rk {
				roundK[(int(k0[i])+j)*c.kvHeads+kv] += rk[j] * c.size * c.size
				roundV[(int(k0[i])+j)*c.kvHeads+kv] += rv[j]
			}
			wantDSinks[h] += gs
			roundSinks[h] += rs
			put(wantDQ, q0, width, h, gq)
			put(wantDK, k0, kvWidth, kv, gk)
			put(wantDV, k0, kvWidth, kv, gv)
		}
	}
	// A score is a sum of dim terms with standard deviation sigma. Its rounding error is a
	// relative error of the probability: sqrt(dim)·sigma units, as for a sum of dim·sigma²
	// terms of size 1. A bias adds a rounding error of as many units as its magnitude.
	sigma := 1 + c.size*c.size*math.Sqrt(float64(c.dim))*scale
	most := c.bias * float64(op.Keys.Longest())
	depth := max(keys, c.dim) + int(sigma*sigma*float64(c.dim)+most*most)
	of := func(rounds []float64) func(int) float64 {
		return func(i int) float64 { return math.Sqrt(rounds[i/c.dim]) }
	}
	o.equals(depth, wantO)
	if c.inference {
		return
	}
	lse.products(depth, wantLSE)
	dq.compare(2*depth, c.stored(), c.turned(f, of(roundQ), wantDQ), dq.numbers(), wantDQ)
	dk.compare(2*depth+tokens, c.stored(), c.turned(f, of(roundK), wantDK), dk.numbers(), wantDK)
	dv.nearEach(depth+tokens, of(roundV), wantDV)
	if dsinks != nil {
		axpy(wantDSinks, 1, dsinks.values)
		dsinks.nearEach(depth+tokens, func(h int) float64 { return math.Sqrt(roundSinks[h]) }, wantDSinks)
	}
}

// The angles of rows that are rotated: those of positions 0 to rotaryPositions.
const rotaryPositions = 50

// turn gives backward rotations of its gradients.
func (c *turnCase) turn(f *fixture, backward *bindings.AttendBackward) {
	if c.rotary == 0 {
		return
	}
	half := c.rotary / 2
	f.angles(rotaryPositions, half)
	rows := backward.Q.Rows
	positions := f.ints("Positions", f.places(rows)).Tensor
	of := func(x bindings.Tensor, heads int) *bindings.RoPE {
		return &bindings.RoPE{
			X: x, Heads: heads, HeadDim: c.dim, Positions: positions, Cos: f.cos.Tensor, Sin: f.sin.Tensor,
			Interleaved: c.interleaved, Inverse: true,
		}
	}
	backward.AfterQ, backward.AfterK = of(backward.DQ, c.heads), of(backward.DK, c.kvHeads)
}

// stored returns how often a gradient is rounded.
func (c *turnCase) stored() float64 {
	if c.rotary > 0 {
		return 2
	}
	return 1
}

// turned rotates want, and returns the terms of its elements: of both of a pair.
func (c *turnCase) turned(f *fixture, terms func(int) float64, want []float64) func(int) float64 {
	if c.rotary == 0 {
		return terms
	}
	ropeRows(want, c.dim, f.at, f.cos.values, f.sin.values, c.rotary/2, true, c.interleaved)
	pairs := pairSizes(want, c.dim, c.rotary/2, c.interleaved)
	return func(i int) float64 { return max(terms(i), pairs[i]) }
}

// keyBias returns a bias that grows with the key's position, as ALiBi's does, with half
// the slope for each next head.
func (f *fixture) keyBias(slope float64, heads, positions int) *operand {
	x := make([]float64, 0, heads*positions)
	for range heads {
		for j := range positions {
			x = append(x, slope*float64(j))
		}
		slope /= 2
	}
	return f.given("KeyBias", bindings.F32, heads, positions, x)
}

// kept returns the dropout factors of each row's probabilities; nil without dropout.
func (c *attendCase) kept(op *bindings.Attend, tokens int) (rows [][]float64) {
	if c.dropout == 0 || c.inference {
		return nil
	}
	cols := op.Keys.Longest()
	all := dropoutFactors(op.Random, op.Stream, op.Dropout, tokens*c.heads, cols)
	for ; len(all) > 0; all = all[cols:] {
		rows = append(rows, all[:cols])
	}
	return rows
}

func starts(lengths []int) []int32 {
	s := []int32{0}
	for _, n := range lengths {
		s = append(s, s[len(s)-1]+int32(n))
	}
	return s
}
