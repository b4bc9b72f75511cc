package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// functions maps package bindings' activations to package vector's.
var functions = [...]vector.Function{
	bindings.SiLU: vector.SiLU, bindings.GELU: vector.GELU, bindings.GELUTanh: vector.GELUTanh,
	bindings.ReLU: vector.ReLU, bindings.ReLUSquared: vector.ReLUSquared,
}

type activateJob struct {
	f       vector.Function
	y, g, u vector.Rows
}

func (j activateJob) run(from, to int) {
	vector.Activate(j.f, j.y.Slice(from, to), j.g.Slice(from, to), j.u.Slice(from, to))
}

func (d *Device) activate(op *bindings.Activate) {
	split(d, op.Y.Rows, op.Y.Cols, activateJob{functions[op.Kind], rowsOf(op.Y), rowsOf(op.G), rowsOf(op.U)})
}

type activateBackwardJob struct {
	f                vector.Function
	dg, du, g, u, dy vector.Rows
}

func (j activateBackwardJob) run(from, to int) {
	vector.ActivateBackward(j.f, j.dg.Slice(from, to), j.du.Slice(from, to), j.g.Slice(from, to), j.u.Slice(from, to), j.dy.Slice(from, to))
}

// activateBackward reads all inputs of an element before it writes: DG and DU may be the
// inputs.
func (d *Device) activateBackward(op *bindings.ActivateBackward) {
	split(d, op.DY.Rows, op.DY.Cols, activateBackwardJob{
		functions[op.Kind], rowsOf(op.DG), rowsOf(op.DU), rowsOf(op.G), rowsOf(op.U), rowsOf(op.DY),
	})
}
