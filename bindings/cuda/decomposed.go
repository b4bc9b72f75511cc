package cuda

import (
	"qlora/bindings"
	"qlora/bindings/cuda/waves"
)

func isDecomposed(l *bindings.Linear) bool { return l.Adapter != nil && !l.Adapter.Magnitude.Absent() }

// gain returns Magnitude/Norms of each output, in scratch.
func (c *composer) gain(a *bindings.Adapter) tensor {
	g := c.scratch.take(bindings.F32, 1, a.Magnitude.Len())
	do(c, &scaleColumns{x: vector(a.Magnitude), divisor: vector(a.Norms), y: g})
	return g
}

// decomposed computes a part whose adapter has a magnitude,
//
//	Y = Residual + Bias + (X - D)·Wᵀ + gain·(D·Wᵀ + Scale·XA·Bᵀ)
//
// in two products, or in one without dropout, where D is X.
func (c *composer) decomposed(op *bindings.Project, p *bindings.Part) {
	a, w := p.Linear.Adapter, []*bindings.Weight{&p.Linear.Weight}
	xa, gain := c.xas(op, []bindings.Part{*p})[0], c.gain(a)
	y := product{a: matrix(op.X), c: matrix(p.Y), residual: matrix(p.Residual), bias: vector(p.Linear.Bias), scale: 1}
	if drops(op.Random, a) {
		lost := withDropout(y, op.Random, a, maskA)
		lost.mask.lost = 1
		c.forward(w, []product{lost})
		y = withDropout(product{a: y.a, c: y.c, scale: 1, accumulate: 1}, op.Random, a, maskA)
	}
	y.gain, y.a2, y.b2, y.scale2 = gain, xa, matrix(a.B), float(a.Scale)
	c.forward(w, []product{y})
}

// decomposedBackward computes that part's gradients, with H = gain·DY and U = Scale·H·B:
//
//	DX (+)= DY·W + dropout'((H - DY)·W + U·A)
//	DA += Uᵀ·D    DB += Scale·Hᵀ·XA    DMagnitude += sum of DY·V/Norms
func (c *composer) decomposedBackward(op *bindings.ProjectBackward, p *bindings.PartBackward, accumulate bool) {
	a, w := p.Linear.Adapter, []*bindings.Weight{&p.Linear.Weight}
	if !p.DMagnitude.Absent() {
		c.magnitudeGradient(op, p)
	}
	if op.DX.Absent() && p.DA.Absent() {
		return
	}
	dy := matrix(p.DY)
	h := c.scratch.take(bindings.BF16, p.DY.Rows, p.DY.Cols)
	c.inside(func() { do(c, &scaleColumns{x: dy, gain: c.gain(a), y: h}) })
	u := c.scratch.take(bindings.BF16, p.DY.Rows, a.Rank())
	c.pull([]pulling{{p, h, u}})
	c.downGradient(op, p, u)
	if op.DX.Absent() {
		return
	}
	dx := product{a: h, a2: u, b2: matrix(a.A), c: matrix(op.DX), scale: 1, scale2: 1, accumulate: flag(accumulate)}
	if drops(op.Random, a) {
		c.summedGradient(w, []product{{a: dy, c: dx.c, scale: 1, accumulate: dx.accumulate}})
		do(c, &scaleColumns{x: h, less: dy, y: h})
		dx.accumulate = 1
		dx = withDropout(dx, op.Random, a, maskResult)
	}
	c.summedGradient(w, []product{dx})
}

// magnitudeGradient recomputes V = D·Wᵀ + Scale·XA·Bᵀ, a chunk of V's columns at a time.
func (c *composer) magnitudeGradient(op *bindings.ProjectBackward, p *bindings.PartBackward) {
	w, a := &p.Linear.Weight, p.Linear.Adapter
	step := waves.Most(w.Out, max(w.In, op.X.Rows), min(c.decoded, waves.Cached))
	c.byRows([]*bindings.Weight{w}, step, func(strips []strip) {
		from, to := strips[0].from, strips[0].to
		v := c.scratch.take(bindings.BF16, op.X.Rows, to-from)
		c.multiply(withDropout(product{
			layout: layoutNT, a: matrix(op.X), b: strips[0].b, c: v, scale: 1,
			a2: matrix(p.XA), b2: rows(matrix(a.B), from, to), scale2: float(a.Scale),
		}, op.Random, a, maskA))
		c.sumRows(sumRows{
			x: columns(matrix(p.DY), from, to), with: v, divisor: columns(vector(a.Norms), from, to),
			sum: columns(vector(p.DMagnitude), from, to),
		})
	})
}
