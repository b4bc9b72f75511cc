package cuda

import "qlora/bindings"

// norm launches one kernel.
func (c *composer) norm(op *bindings.Norm) {
	k := norm{
		x: matrix(op.X), weight: turnRows(op.Weight, op.X.Cols), bias: turnRows(op.Bias, op.X.Cols), y: matrix(op.Y),
		residual: matrix(op.Residual),
		mean:     vector(op.Mean), rstd: vector(op.RStd), eps: float(op.Eps), offset: float(op.Offset), centered: flag(op.Centered),
	}
	if op.After != nil {
		k.angles, k.heads = c.angles(op.After), i32(op.After.Heads)
	}
	if n := op.Next; n != nil {
		k.next = nextNorm{
			weight: turnRows(n.Weight, op.X.Cols), bias: turnRows(n.Bias, op.X.Cols), y: matrix(n.Y),
			eps: float(n.Eps), offset: float(n.Offset), centered: flag(n.Centered),
		}
	}
	do(c, &k)
}

// turnRows returns a norm's weight or bias, or its gradient, with one row per turn.
func turnRows(t bindings.Tensor, cols int) tensor {
	if t.Absent() {
		return tensor{}
	}
	return matrix(t.Reshape(t.Len()/cols, cols))
}

// normBackward sums DWeight and DBias in pieces of a turn's rows, then adds the pieces in
// order.
func (c *composer) normBackward(op *bindings.NormBackward) {
	cols := op.X.Cols
	k := normBackward{
		x: matrix(op.X), weight: turnRows(op.Weight, cols), bias: turnRows(op.Bias, cols), mean: vector(op.Mean), rstd: vector(op.RStd),
		dy: matrix(op.DY), dx: matrix(op.DX), y: matrix(op.Again),
		eps: float(op.Eps), offset: float(op.Offset), centered: flag(op.Centered), accumulate: flag(op.Accumulate),
		dweight: turnRows(op.DWeight, cols), dbias: turnRows(op.DBias, cols),
	}
	if turns := int(max(k.dweight.rows, k.dbias.rows)); turns > 0 {
		k.workspace = c.scratch.take(bindings.F32, turns*pieces(op.X.Rows/turns), cols)
	}
	do(c, &k)
}

// rowNorms decodes, adds and squares in one kernel.
func (c *composer) rowNorms(op *bindings.RowNorms) {
	a := op.Linear.Adapter
	do(c, &rowNorms{
		weight: weightOf(&op.Linear.Weight), a: matrix(a.A), b: matrix(a.B), scale: float(a.Scale), norms: vector(a.Norms),
	})
}
