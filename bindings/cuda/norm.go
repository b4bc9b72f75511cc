package cuda

import "qlora/bindings"

// Norm is one kernel.
func (d *Device) Norm(op *bindings.Norm) {
	d.run("norm", op.Check(), op, func(c *composer) {
		c.do(&norm{
			x: matrix(op.X), weight: vector(op.Weight), y: matrix(op.Y), inv_rms: vector(op.InvRMS), eps: float(op.Eps),
		})
	})
}

// NormBackward sums DWeight in pieces of the rows, which are then added in order.
func (d *Device) NormBackward(op *bindings.Norm) {
	d.run("norm backward", op.CheckBackward(), op, func(c *composer) { c.normBackward(op) })
}

func (c *composer) normBackward(op *bindings.Norm) {
	k := normBackward{
		x: matrix(op.X), weight: vector(op.Weight), inv_rms: vector(op.InvRMS), dy: matrix(op.DY), dx: matrix(op.DX),
		accumulate: flag(op.Accumulate), dweight: vector(op.DWeight),
	}
	if !op.DWeight.Absent() {
		k.workspace = c.scratch.take(bindings.F32, pieces(op.X.Rows), op.X.Cols)
	}
	c.do(&k)
}

// RowNorms decodes, adds and squares in one kernel.
func (d *Device) RowNorms(op *bindings.RowNorms) {
	d.run("row norms", op.Check(), op, func(c *composer) {
		a := op.Linear.Adapter
		c.do(&rowNorms{
			weight: weightOf(&op.Linear.Weight), a: matrix(a.A), b: matrix(a.B), scale: float(a.Scale), norms: vector(a.Norms),
		})
	})
}
