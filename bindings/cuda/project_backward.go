package cuda

import "qlora/bindings"

// projectBackward sums DX over the parts in order, in bf16 with one rounding per part.
func (c *composer) projectBackward(op *bindings.ProjectBackward) {
	accumulate := op.Accumulate
	for i := range op.Parts {
		p := &op.Parts[i]
		c.inside(func() {
			if isDecomposed(p.Linear) {
				c.decomposedBackward(op, p, accumulate)
				return
			}
			c.partBackward(op, p, accumulate)
		})
		accumulate = true
	}
}

func (c *composer) partBackward(op *bindings.ProjectBackward, p *bindings.PartBackward, accumulate bool) {
	a := p.Linear.Adapter
	dx := product{a: matrix(p.DY), c: matrix(op.DX), scale: 1, accumulate: flag(accumulate)}
	if a != nil && (!op.DX.Absent() || !p.DA.Absent()) {
		u := c.pulled(matrix(p.DY), a)
		c.adapterGradients(op, p, matrix(p.DY), u)
		dx.a2, dx.b2, dx.scale2 = u, matrix(a.A), 1
		dx = withDropout(dx, op.Random, a, maskExtension)
	}
	if !op.DX.Absent() {
		c.inputGradient(&p.Linear.Weight, dx)
	}
	if !p.DWeight.Absent() {
		c.multiply(product{layout: layoutTN, a: matrix(p.DY), b: matrix(op.X), c: matrix(p.DWeight), scale: 1, accumulate: 1})
	}
	if !p.DBias.Absent() {
		c.sumRows(sumRows{x: matrix(p.DY), sum: vector(p.DBias)})
	}
}

// pulled returns U = Scale·dy·B, in scratch.
func (c *composer) pulled(dy tensor, a *bindings.Adapter) tensor {
	u := c.scratch.take(bindings.BF16, int(dy.rows), a.Rank())
	c.multiply(product{layout: layoutNN, a: dy, b: matrix(a.B), c: u, scale: float(a.Scale)})
	return u
}

// adapterGradients computes DA += Uᵀ·dropout(X) and DB += Scale·dyᵀ·XA.
func (c *composer) adapterGradients(op *bindings.ProjectBackward, p *bindings.PartBackward, dy, u tensor) {
	if p.DA.Absent() {
		return
	}
	a := p.Linear.Adapter
	c.multiply(withDropout(product{
		layout: layoutTN, a: u, b: matrix(op.X), c: matrix(p.DA), scale: 1, accumulate: 1,
	}, op.Random, a, maskB))
	c.multiply(product{layout: layoutTN, a: dy, b: matrix(p.XA), c: matrix(p.DB), scale: float(a.Scale), accumulate: 1})
}

// inputGradient launches the product dx with a weight as its operand B. A weight decoded
// before is processed by columns, so that each element of DX is rounded once.
func (c *composer) inputGradient(w *bindings.Weight, dx product) {
	dx.layout = layoutNN
	switch {
	case isBF16(w):
		dx.b = matrix(w.Dense)
		c.multiply(dx)
	case fused(w, int(dx.a.rows)):
		dx.weight = weightOf(w)
		c.multiply(dx)
	default:
		c.byColumns(w, c.chunkOf(w.In, w.Out, int(dx.a.rows)), func(from, to int, b tensor) {
			part := dx
			part.b, part.b2 = b, columns(dx.b2, from, to)
			part.c, part.mask_col = columns(dx.c, from, to), i32(from)
			c.multiplyPart(part, w.In)
		})
	}
}

// sumTokens is the number of rows per partial sum over rows, and sumPieces the maximum
// number of partial sums.
const sumTokens, sumPieces = 32, 256

func pieces(rows int) int { return min(ceil(rows, sumTokens), sumPieces) }

// sumRows allocates the partial sums and launches k.
func (c *composer) sumRows(k sumRows) {
	c.inside(func() {
		k.workspace = c.scratch.take(bindings.F32, max(1, pieces(int(k.x.rows))), int(k.x.cols))
		c.do(&k)
	})
}
