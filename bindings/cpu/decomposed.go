package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// A decomposition is a part whose adapter has a magnitude. It expands each slab of the
// weight once and uses it for projectTokens tokens at a time. It draws the dropout masks
// again for each slab, which is cheap compared with the slab's products.
type decomposition struct {
	*Device
	input
	adapter *bindings.Adapter
	weight  *bindings.Weight

	slab    []float32
	gain    []float32 // Magnitude/Norms, [out]
	v       []float32 // [projectTokens, rows of a slab]
	dropped []float32 // [projectTokens, in]; nil: no dropout
}

func isDecomposed(l *bindings.Linear) bool { return l.Adapter != nil && !l.Adapter.Magnitude.Absent() }

func (d *Device) decompose(from input, l *bindings.Linear, s *scratch) *decomposition {
	a, w := l.Adapter, &l.Weight
	chunk := min(from.x.Rows, projectTokens)
	c := &decomposition{
		Device: d, input: from, adapter: a, weight: w,
		slab: s.take(slabSize(w)), gain: s.take(w.Out), v: s.take(chunk * slabRows(w)),
	}
	if from.drops(a) {
		c.dropped = s.take(chunk * w.In)
	}
	m, norms := f32(a.Magnitude), f32(a.Norms)
	for o := range c.gain {
		c.gain[o] = m[o] / norms[o]
	}
	return c
}

// decompositionFloats returns the scratch of a decomposition in floats.
func decompositionFloats(from input, l *bindings.Linear) int {
	w := &l.Weight
	chunk := min(from.x.Rows, projectTokens)
	n := padded(slabSize(w)) + padded(w.Out) + padded(chunk*slabRows(w))
	if from.drops(l.Adapter) {
		n += padded(chunk * w.In)
	}
	return n
}

// chunks calls do for chunks of up to projectTokens tokens, n of them from token from on,
// with their dropout(X).
func (c *decomposition) chunks(do func(from, n int, x matrix)) {
	for from := 0; from < c.x.Rows; from += projectTokens {
		n := min(projectTokens, c.x.Rows-from)
		x := matrixOf(c.x).row(from)
		if c.dropped != nil {
			c.drop(c.input, c.adapter, c.dropped, x.data, from, n)
			x = dense(c.dropped, c.weight.In)
		}
		do(from, n, x)
	}
}

// pieces calls do for every slab, rows [first, last) of the weight, and every chunk.
func (c *decomposition) pieces(do func(first, last int, rows matrix, from, n int, x matrix)) {
	c.slabs(c.weight, c.slab, func(first, last int, rows matrix) {
		c.chunks(func(from, n int, x matrix) { do(first, last, rows, from, n, x) })
	})
}

// direction returns V = x·Wᵀ + Scale·xa·Bᵀ of a piece; xa is its tokens' XA.
func (c *decomposition) direction(first, last int, rows matrix, n int, x, xa matrix) matrix {
	rank := c.adapter.Rank()
	v := dense(c.v, last-first)
	c.tiled(n, last-first, c.weight.In, 1, x, rows.t(), 0, v)
	c.tiled(n, last-first, rank, c.adapter.Scale, xa, dense(f32(c.adapter.B), rank).row(first).t(), 1, v)
	return v
}

// project computes Y = Residual + Bias + (X - D)·Wᵀ + G·V.
func (c *decomposition) project(p *bindings.Part, s *scratch) {
	in, out, rank, tokens := c.weight.In, c.weight.Out, c.adapter.Rank(), c.x.Rows
	var xa matrix
	if p.XA.Absent() {
		xa = dense(s.take(tokens*rank), rank)
	} else {
		xa = dense(f32(p.XA), rank)
	}
	c.chunks(func(from, n int, x matrix) {
		c.tiled(n, rank, in, 1, x, dense(f32(c.adapter.A), in).t(), 0, xa.row(from))
	})
	y, beta := dense(f32(p.Y), out), c.start(p)
	c.pieces(func(first, last int, rows matrix, from, n int, x matrix) {
		v := c.direction(first, last, rows, n, x, xa.row(from))
		add := vector.AddMask
		switch {
		case c.dropped != nil:
			c.lost(from, n)
			c.tiled(n, last-first, in, 1, x, rows.t(), beta, y.row(from).col(first))
		case beta == 0:
			add = vector.Mask
		}
		c.eachRow(n, last-first, v, y.row(from).col(first), func(v, y []float32) { add(y, v, c.gain[first:last]) })
	})
}

// lost replaces dropout(X) of n tokens by X - dropout(X).
func (c *decomposition) lost(from, n int) {
	in := c.weight.In
	c.eachRow(n, in, matrixOf(c.x).row(from), dense(c.dropped, in), func(x, d []float32) {
		for i := range d {
			d[i] = x[i] - d[i]
		}
	})
}

// eachRow calls do with the first cols columns of each of the n rows of a and b.
func (d *Device) eachRow(n, cols int, a, b matrix, do func(a, b []float32)) {
	d.rows(n, 16, func(from, to int) {
		for t := from; t < to; t++ {
			do(a.data[t*a.stride:t*a.stride+cols], b.data[t*b.stride:t*b.stride+cols])
		}
	})
}

// backward computes the part's gradients, with H = G·DY and U = Scale·H·B:
//
//	DX = beta·DX + DY·W + dropout'((H - DY)·W + U·A)
//	DA += Uᵀ·D    DB += Scale·Hᵀ·XA    DMagnitude += sum of DY·V/Norms
func (c *decomposition) backward(op *bindings.ProjectBackward, p *bindings.PartBackward, s *scratch, beta float32) {
	a := c.adapter
	in, out, rank, tokens := c.weight.In, c.weight.Out, a.Rank(), c.x.Rows
	u, through := dense(s.take(tokens*rank), rank), []float32(nil)
	if c.dropped != nil {
		through = s.take(min(tokens, projectTokens) * in)
	}
	c.pieces(func(first, last int, rows matrix, from, n int, x matrix) {
		cols := last - first
		dy := dense(f32(p.DY), out).row(from).col(first)
		if !p.DMagnitude.Absent() {
			v := c.direction(first, last, rows, n, x, dense(f32(p.XA), rank).row(from))
			c.sumMagnitude(p, first, n, v, dy)
		}
		h := dense(c.v, cols)
		c.eachRow(n, cols, dy, h, func(dy, h []float32) { vector.Mask(h, dy, c.gain[first:last]) })
		var more float32 // 1 after the first slab: add to its results
		if first > 0 {
			more = 1
		}
		c.tiled(n, rank, cols, a.Scale, h, dense(f32(a.B), rank).row(first), more, u.row(from))
		if !p.DB.Absent() {
			c.tiled(cols, rank, n, a.Scale, h.t(), dense(f32(p.XA), rank).row(from), 1, dense(f32(p.DB), rank).row(first))
		}
		if op.DX.Absent() {
			return
		}
		dx, beta := dense(f32(op.DX), in).row(from), max(beta, more)
		if c.dropped == nil {
			c.tiled(n, in, cols, 1, h, rows, beta, dx)
			return
		}
		c.tiled(n, in, cols, 1, dy, rows, beta, dx)
		c.eachRow(n, cols, dy, h, func(dy, h []float32) {
			for i := range h {
				h[i] -= dy[i]
			}
		})
		c.tiled(n, in, cols, 1, h, rows, 0, dense(through, in))
		c.dropBackward(op, a, c.dropped, through, from, n)
	})
	for from := 0; from < tokens; from += projectTokens {
		c.pull(op, p, u.row(from), from, min(projectTokens, tokens-from), c.dropped, through)
	}
}

// sumMagnitude adds the sum over n tokens of DY·V/Norms to DMagnitude from output first
// on. It sums in float64.
func (c *decomposition) sumMagnitude(p *bindings.PartBackward, first, n int, v, dy matrix) {
	norms, to := f32(c.adapter.Norms)[first:], f32(p.DMagnitude)[first:]
	const width = 64
	c.rows(v.stride, width, func(begin, end int) {
		var sum [width]float64
		for t := range n {
			row := dy.data[t*dy.stride+begin : t*dy.stride+end]
			for j, v := range v.data[t*v.stride+begin : t*v.stride+end] {
				sum[j] += float64(v) * float64(row[j])
			}
		}
		for j := begin; j < end; j++ {
			to[j] += float32(sum[j-begin] / float64(norms[j]))
		}
	})
}
