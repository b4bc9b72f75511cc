package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

type clampJob struct {
	x     vector.Rows
	limit float32
}

func (j clampJob) run(from, to int) { vector.Clamp(j.x.Slice(from, to), j.limit) }

// clamp keeps NaN.
func (d *Device) clamp(op *bindings.Clamp) {
	split(d, op.X.Rows, op.X.Cols, clampJob{rowsOf(op.X), op.Limit})
}

type clampBackwardJob struct {
	x, dx vector.Rows
	limit float32
}

func (j clampBackwardJob) run(from, to int) {
	vector.ClampBackward(j.x.Slice(from, to), j.dx.Slice(from, to), j.limit)
}

func (d *Device) clampBackward(op *bindings.ClampBackward) {
	split(d, op.X.Rows, op.X.Cols, clampBackwardJob{rowsOf(op.X), rowsOf(op.DX), op.Limit})
}
