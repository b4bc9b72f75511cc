package cuda

import (
	"qlora/bindings"
	"qlora/internal/philox"
)

// project runs part by part: the adapter's product with A, then the base's product with
// the adapter's product with B in the same accumulators.
func (c *composer) project(op *bindings.Project) {
	for i := range op.Parts {
		p := &op.Parts[i]
		c.inside(func() {
			switch a := p.Linear.Adapter; {
			case a == nil:
				c.forward(&p.Linear.Weight, product{a: matrix(op.X), c: matrix(p.Y), residual: matrix(p.Residual), bias: vector(p.Linear.Bias), scale: 1})
			case a.Magnitude.Absent():
				c.forward(&p.Linear.Weight, product{
					a: matrix(op.X), c: matrix(p.Y), residual: matrix(p.Residual), bias: vector(p.Linear.Bias), scale: 1,
					a2: c.xa(op, p), b2: matrix(a.B), scale2: float(a.Scale),
				})
			default:
				c.decomposed(op, p)
			}
		})
	}
}

// xa returns XA = dropout(X)·Aᵀ, in scratch unless backward reads it.
func (c *composer) xa(op *bindings.Project, p *bindings.Part) tensor {
	a := p.Linear.Adapter
	xa := matrix(p.XA)
	if p.XA.Absent() {
		xa = c.scratch.take(bindings.BF16, op.X.Rows, a.Rank())
	}
	thin := product{layout: layoutNT, a: matrix(op.X), c: xa, scale: 1}
	if op.X.Rows <= fewTokens && !drops(op.Random, a) {
		thin.weight = weight{out: i32(a.Rank()), in: i32(op.X.Cols), dense: matrix(a.A)}
		c.do((*gemv)(&thin))
		return xa
	}
	thin.b = matrix(a.A)
	c.multiply(withDropout(thin, op.Random, a, maskA))
	return xa
}

// forward launches the product y with a weight as its operand B: as a GEMV for few
// tokens, else with the weight decoded inside the product or before it.
func (c *composer) forward(w *bindings.Weight, y product) {
	tokens := int(y.a.rows)
	y.layout = layoutNT
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
		c.byRows(w, c.chunkOf(w.Out, w.In, tokens), func(from, to int, b tensor) { c.multiplyPart(outputs(y, from, to, b), w.Out) })
	}
}

// outputs returns y restricted to columns [from, to) of its result, with weight rows b.
func outputs(y product, from, to int, b tensor) product {
	y.b, y.b2 = b, rows(y.b2, from, to)
	y.c, y.residual = columns(y.c, from, to), columns(y.residual, from, to)
	y.bias, y.gain = columns(y.bias, from, to), columns(y.gain, from, to)
	return y
}

// drops reports whether dropout applies to the adapter's input.
func drops(r bindings.Random, a *bindings.Adapter) bool { return r.Train && a.Dropout > 0 }

// maskOf returns the mask of a stream; in evaluation one without dropout.
func maskOf(r bindings.Random, stream uint32, probability float32) mask {
	if !r.Train {
		probability = 0
	}
	d := philox.NewDropout(r.Seed, stream, r.Step, probability)
	return mask{
		seed: u64(r.Seed), stream: u32(stream), step: u32(r.Step),
		threshold: u32(d.Threshold()), scale: float(d.Scale),
	}
}
