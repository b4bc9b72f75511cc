package main

import (
	"fmt"

	"qlora/bindings/cuda/waves"
)

// A setup is a GPU with a version of the kernels.
type setup struct {
	gpu    gpu
	counts counts
	// part returns how many of n rows or columns of width elements of a weight are
	// decoded at a time for so many tokens.
	part func(g gpu, n, width, tokens int) int
	// group is the rows of tiles that blocks traverse together.
	group int
	// tile returns the tile of a product; nil: that of the least modelled time, which is
	// what gemm_choose.h looks for.
	tile func(g gpu, m, n, k, pieces int) tile
	// apart: each operation between products is a pass, and backward repeats those of forward; the
	// projections of one input have products of their own, and U and dB read dY twice.
	apart bool
}

// decodedBytes are bindings/cuda's, where memory does not allow copies of whole weights.
const decodedBytes = 128 << 20

// group and groupBefore are the rows of tiles of gemm_mma.cuh.
const group, groupBefore = 16, 8

// partWithin returns the choice of bindings/cuda, with copies of at most so many bytes.
func partWithin(bytes int) func(g gpu, n, width, tokens int) int {
	return func(g gpu, n, width, tokens int) int {
		return waves.Of(g.processors, g.compute()).Part(n, width, tokens, waves.Most(n, width, bytes))
	}
}

// partBefore is what the recorded commit decoded at a time.
func partBefore(_ gpu, n, width, _ int) int { return waves.Most(n, width, 24<<20) }

// A row is a kind of kernel in a step.
type row struct {
	name     string
	launches int
	flops    float64
	bytes    float64 // at least
	seconds  float64
	limit    string  // of most of its time
	most     float64 // the seconds that the limit is from
	full     float64 // FLOPs times the share of full waves, of what such FLOPs bound
	waved    float64 // those FLOPs
}

// A table sums rows by name, in order of their first appearance.
type table struct {
	rows []*row
	err  error
}

func (t *table) add(name string, times int, flops, bytes float64, c cost) {
	var r *row
	for _, have := range t.rows {
		if have.name == name {
			r = have
		}
	}
	if r == nil {
		r = &row{name: name}
		t.rows = append(t.rows, r)
	}
	n := float64(times)
	r.launches += times
	r.flops += n * flops
	r.bytes += n * bytes
	r.seconds += n * (c.seconds + launched)
	if n*c.seconds > r.most {
		r.most, r.limit = n*c.seconds, c.limit
	}
	if c.full > 0 {
		r.full += n * flops * c.full
		r.waved += n * flops
	}
}

// seconds returns the time of a whole step.
func (t *table) seconds() float64 {
	var all float64
	for _, r := range t.rows {
		all += r.seconds
	}
	return all
}

// step returns the kernels of a step of one micro-batch, all projections adapted.
func step(s setup, m shape, b batch) (*table, error) {
	t := &table{}
	for _, stack := range m.stacks() {
		if !s.apart {
			s.projections(t, m, b, stack)
			continue
		}
		for i := range stack {
			s.projections(t, m, b, stack[i:i+1])
		}
	}
	s.attention(t, m, b)
	s.elementwise(t, m, b)
	s.head(t, m, b)
	adapters := 0.
	for _, l := range m.linears() {
		adapters += float64(m.layers * b.rank * (l.in + l.out))
	}
	s.moving(t, "optimizer and norm", 2, adapters*34/2)
	return t, t.err
}

// projections adds forward and backward of projections of one input, with their adapters.
func (s setup) projections(t *table, m shape, b batch, stack []linear) {
	in, outs, ranks := stack[0].in, 0, len(stack)*b.rank
	for _, l := range stack {
		outs += l.out
	}
	extension := b.rank
	if stack[0].name == "gate" && len(stack) == 2 {
		extension = 2 * 16 * ceil(b.rank, 16) // gate's and up's take turns in a slice
	}
	again := b.recompute == "layer" && stack[0].name != "down" || b.recompute == "mlp" && (stack[0].name == "gate" || stack[0].name == "up")
	s.decodedProduct(t, "products forward", "nt", m.layers, b, outs, in, extension)
	s.thin(t, "adapters: XA", "nt", m.layers, b.tokens, ranks, in, in, b)
	if again {
		s.decodedProduct(t, "products recomputed", "nt", m.layers, b, outs, in, b.rank)
	}
	s.decodedProduct(t, "products backward", "nn", m.layers, b, in, outs, ranks)
	s.thin(t, "adapters: dA", "tn", m.layers, ranks, in, b.tokens, in, b)
	if s.apart || b.rank > pulledRank {
		for _, l := range stack {
			s.thin(t, "adapters: U, dB", "nn", m.layers, b.tokens, b.rank, l.out, l.out, b)
			s.thin(t, "adapters: U, dB", "tn", m.layers, l.out, b.rank, b.tokens, l.out, b)
		}
		return
	}
	columns := 0
	for _, l := range stack {
		columns += ceil(l.out, pulledOuts)
	}
	pieces := max(1, min(pulledBlocks/columns, ceil(b.tokens, pulledTokens)))
	sums := 4 * float64(b.rank) * float64(columns*b.tokens+pieces*outs)
	s.moving(t, "adapters: U, dB", m.layers, 2*float64(b.tokens*outs)+sums)
	s.moving(t, "adapters: U, dB", m.layers, sums)
}

// These are bindings/cuda's.
const pulledRank, pulledOuts, pulledBlocks, pulledTokens = 32, 512, 128, 128

func (s setup) multiplied(t *table, name, layout string, times, m, n, k, pieces int, bytes float64) {
	c, err := s.product(layout, m, n, k, pieces, bytes)
	if err != nil {
		t.err = err
	}
	t.add(name, times, 2*float64(m)*float64(n)*float64(k), bytes, c)
}

// decodedProduct adds the product of a batch with a weight's n rows (nt) or columns (nn) of
// width elements, part by part, and their decoding. So many columns of the adapters' extend it.
func (s setup) decodedProduct(t *table, name, layout string, layers int, b batch, n, width, rank int) {
	part := s.part(s.gpu, n, width, b.tokens)
	g := s.gpu.decoding()
	for from := 0; from < n; from += part {
		cols := min(part, n-from)
		weights := float64(cols) * float64(width)
		bytes := g.DecodedBytes(weights)
		t.add("decode", layers, 0, bytes, cost{seconds: g.Decode(weights), limit: "memory"})
		k := width + ceil(rank, 32)*32 // the adapters' slices
		s.multiplied(t, name, layout, layers, b.tokens, cols, k, 1, s.traffic(b.tokens, cols, width))
	}
}

// traffic returns the bytes that a product with a decoded copy, C [m, n] over k, moves from and to memory: C, what is left
// of the copy in the L2 cache, which goes to memory meanwhile, and the operands. Blocks compute the tiles of a group of rows
// column by column, as many at a time as there are processors. A group's rows of A are read once if half of the cache
// holds them, else once for each of its waves; the copy is read once if half of the cache holds it, else once for each group.
func (s setup) traffic(m, n, k int) float64 {
	const rows, cols = 128, 256
	held := float64(s.gpu.l2) / 2
	copied, groups := 2*float64(n)*float64(k), ceil(m, s.group*rows)
	bytes := 2*float64(m)*float64(n) + min(copied, held)
	if copied <= held {
		groups = 0 // it is in the cache from its decoding on
	}
	bytes += float64(groups) * copied
	for from := 0; from < m; from += s.group * rows {
		height := min(m-from, s.group*rows)
		a := 2 * float64(height) * float64(k)
		if a > held {
			a *= float64(ceil(ceil(height, rows)*ceil(n, cols), s.gpu.processors))
		}
		bytes += a
	}
	return bytes
}

// thin adds a product with the rank for a side, which reads an operand of that width.
func (s setup) thin(t *table, name, layout string, layers, m, n, k, width int, b batch) {
	tiles := ceil(m, 64) * ceil(n, 64)
	pieces := max(1, min(132/tiles, k/256)) // bindings/cuda/product.go
	s.multiplied(t, name, layout, layers, m, n, k, pieces, 2*float64(b.tokens)*float64(width))
	if pieces > 1 {
		s.moving(t, name, layers, 4*float64(pieces)*float64(m)*float64(n))
	}
}

// moving adds kernels that only move bytes.
func (s setup) moving(t *table, name string, times int, bytes float64) {
	t.add(name, times, 0, bytes, cost{seconds: s.gpu.bytes(bytes, 0.85), limit: "memory"})
}

// attention adds forward and backward. A sequence's pairs are half of its square, and half
// a tile of keys more for each query.
func (s setup) attention(t *table, m shape, b batch) {
	const keys = 64
	width := 128
	if m.headDim <= 64 {
		width = 64
	}
	n := float64(b.sequence)
	pairs := float64(m.heads) * float64(b.tokens) / n * (n*n/2 + n*keys/2)
	times := m.layers
	if b.recompute == "layer" {
		times *= 2
	}
	heads := float64(2 * b.tokens * m.headDim * m.heads)
	s.attend(t, "attention forward", "attend_forward", width, times, 4*pairs, 2.5*heads)
	s.attend(t, "attention backward", "attend_backward_keys", width, m.layers, 8*pairs, 3*heads)
	s.attend(t, "attention backward", "attend_backward_queries", width, m.layers, 6*pairs, 3*heads)
	s.moving(t, "attention backward", m.layers, 2*heads) // delta
}

// attend adds a kernel that does flops for each dimension of a head.
func (s setup) attend(t *table, name, kernel string, width, times int, flops, bytes float64) {
	c, err := s.counts.of(fmt.Sprintf("%s_%d", kernel, width), s.gpu.target)
	if err != nil {
		t.err = err
		return
	}
	warps := c.threads / 32
	// What ldmatrix reads of shared memory, and cp.async writes there.
	shared := (float64(warps)*512*c.loads + float64(c.threads)*16*c.copies) / sharedBytes
	p := passOf(s.gpu, warps, c, shared)
	flops *= float64(width)
	passes := flops / (2 * 2048) / c.products / float64(warps) // of blocks
	clocks := passes / float64(s.gpu.processors) * p.of(float64(c.blocks)) / float64(c.blocks) / attentionReached
	took := cost{seconds: clocks / (s.gpu.clock * gig), limit: p.limit(float64(c.blocks))}
	if moving := s.gpu.bytes(bytes, 0.85); moving > took.seconds {
		took = cost{seconds: moving, limit: "memory"}
	}
	t.add(name, times, flops, bytes, took)
}

// elementwise adds norms, RoPE and activations. Backward computes the normalized inputs again in the
// pass of their gradients. The activation is in the epilogue of the products of its inputs, and of the
// product that its gradient is of; attention rotates its gradients back.
func (s setup) elementwise(t *table, m shape, b batch) {
	hidden := float64(b.tokens * m.hidden)
	rotated := float64(b.tokens * (m.heads + m.kvHeads) * m.headDim)
	inner := float64(b.tokens * m.intermediate)
	again := 0 // passes of a layer's forward in backward
	if b.recompute == "layer" {
		again = 1
	}
	s.moving(t, "norms", 2*m.layers*(1+again), 4*hidden)
	s.moving(t, "norms", 3, 6*hidden) // of the end, and the embedding
	if s.apart {
		s.moving(t, "norms", 2*m.layers, 4*hidden) // again in backward
		s.moving(t, "norms", 2*m.layers, 8*hidden)
		s.moving(t, "RoPE", (4+2*again)*m.layers, 4*rotated/2)
		s.moving(t, "activations", 2*m.layers, 6*inner) // again in backward
		s.moving(t, "activations", m.layers, 10*inner)
		t.add("checks of positions", 4*m.layers, 0, 0, cost{limit: "launch"})
		return
	}
	s.moving(t, "norms", 2*m.layers, 10*hidden)
	s.moving(t, "RoPE", (1+again)*m.layers, 4*rotated)
	// Without a launch: forward a result more, backward two operands to read and three results in place of one.
	bytes := (2 + 8) * float64(m.layers) * inner
	t.add("activations", 1, 0, bytes, cost{seconds: s.gpu.bytes(bytes, 0.85), limit: "memory"})
	t.add("checks of positions", 3, 0, 0, cost{limit: "launch"})
}

// head adds the loss, 1,024 tokens at a time.
func (s setup) head(t *table, m shape, b batch) {
	const rows = 1024
	for from := 0; from < b.tokens; from += rows {
		n := min(rows, b.tokens-from)
		weights, logits := float64(m.vocabulary*m.hidden), float64(n*m.vocabulary)
		s.multiplied(t, "head", "nt", 1, n, m.vocabulary, m.hidden, 1, 2*(weights+logits))
		s.multiplied(t, "head", "nn", 1, n, m.hidden, m.vocabulary, 1, 2*(weights+logits))
		s.moving(t, "cross-entropy", 1, 4*logits)
	}
}
