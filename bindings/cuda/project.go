package cuda

import (
	"qlora/bindings"
	"qlora/internal/philox"
)

// Project multiplies part by part: the adapter's thin product, then the base's with
// the adapter's second one running through the same accumulators.
func (d *Device) Project(op *bindings.Project) {
	d.run("project", op.Check(), op, func(c *composer) { c.project(op) })
}

func (c *composer) project(op *bindings.Project) {
	for i := range op.Parts {
		p := &op.Parts[i]
		c.inside(func() {
			switch a := p.Linear.Adapter; {
			case a == nil:
				c.forward(op, p, product{c: matrix(p.Y), residual: matrix(p.Residual), bias: vector(p.Linear.Bias), scale: 1})
			case a.Magnitude.Absent():
				c.forward(op, p, product{
					c: matrix(p.Y), residual: matrix(p.Residual), bias: vector(p.Linear.Bias), scale: 1,
					a2: c.low(op, p), b2: matrix(a.B), scale2: float(a.Scale),
				})
			default:
				c.decomposed(op, p)
			}
		})
	}
}

// low is Low = dropout(X)·Aᵀ, in scratch where backward does not want it.
func (c *composer) low(op *bindings.Project, p *bindings.Part) tensor {
	a := p.Linear.Adapter
	low := matrix(p.Low)
	if p.Low.Absent() {
		low = c.scratch.take(bindings.BF16, op.X.Rows, a.Rank())
	}
	thin := product{layout: layoutNT, a: matrix(op.X), c: low, scale: 1}
	if op.X.Rows <= fewTokens && !drops(op, a) {
		thin.weight = weight{out: i32(a.Rank()), in: i32(op.X.Cols), dense: matrix(a.A)}
		c.do((*gemv)(&thin))
		return low
	}
	thin.b = matrix(a.A)
	c.multiply(withDropout(thin, op, a, maskA))
	return low
}

// forward is the product y, less its operands A and B, with X and the part's weight:
// for few tokens as one of vectors, else with the weight decoded on the way or
// before.
func (c *composer) forward(op *bindings.Project, p *bindings.Part, y product) {
	w, tokens := &p.Linear.Weight, op.X.Rows
	y.layout, y.a = layoutNT, matrix(op.X)
	switch masked := y.mask_on == maskA; {
	case tokens <= fewTokens && !masked:
		y.weight = weightOf(w)
		c.do((*gemv)(&y))
	case isBF16(w):
		y.b = matrix(w.Dense)
		c.multiply(y)
	case fused(w, tokens) && !masked:
		y.weight = weightOf(w)
		c.multiply(y)
	default:
		c.byRows(w, c.chunkOf(w.Out, w.In), func(from, to int, b tensor) { c.multiply(outputs(y, from, to, b)) })
	}
}

// outputs is the columns [from, to) of y's result, whose weight's rows are b.
func outputs(y product, from, to int, b tensor) product {
	y.b, y.b2 = b, rows(y.b2, from, to)
	y.c, y.residual = columns(y.c, from, to), columns(y.residual, from, to)
	y.bias, y.gain = columns(y.bias, from, to), columns(y.gain, from, to)
	return y
}

// drops reports whether anything of the adapter's input is dropped.
func drops(op *bindings.Project, a *bindings.Adapter) bool { return op.Random.Train && a.Dropout > 0 }

func maskOf(op *bindings.Project, a *bindings.Adapter) mask {
	d := philox.NewDropout(op.Random.Seed, a.Stream, op.Random.Step, a.Dropout)
	return mask{
		seed: u64(op.Random.Seed), stream: u32(a.Stream), step: u32(op.Random.Step),
		threshold: u32(d.Threshold()), scale: float(d.Scale),
	}
}
