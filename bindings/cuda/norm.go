package cuda

import "qlora/bindings"

// norm is one kernel.
func (c *composer) norm(op *bindings.Norm) {
	c.do(&norm{
		x: matrix(op.X), weight: vector(op.Weight), y: matrix(op.Y), inv_rms: vector(op.RStd), eps: float(op.Eps),
	})
}

// normBackward sums DWeight in pieces of the rows, which are then added in order.
func (c *composer) normBackward(op *bindings.NormBackward) {
	k := normBackward{
		x: matrix(op.X), weight: vector(op.Weight), inv_rms: vector(op.RStd), dy: matrix(op.DY), dx: matrix(op.DX),
		accumulate: flag(op.Accumulate), dweight: vector(op.DWeight),
	}
	if !op.DWeight.Absent() {
		k.workspace = c.scratch.take(bindings.F32, pieces(op.X.Rows), op.X.Cols)
	}
	c.do(&k)
}

// rowNorms decodes, adds and squares in one kernel.
func (c *composer) rowNorms(op *bindings.RowNorms) {
	a := op.Linear.Adapter
	c.do(&rowNorms{
		weight: weightOf(&op.Linear.Weight), a: matrix(a.A), b: matrix(a.B), scale: float(a.Scale), norms: vector(a.Norms),
	})
}
