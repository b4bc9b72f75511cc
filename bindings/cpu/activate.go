package cpu

import (
	"unsafe"

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
	f                       vector.Function
	dg, du, g, u, dy, again vector.Rows
	dtype                   vector.Type // of all
	lanes                   [][]float32 // each lane's memory for rows of again; nil: not wanted
}

func (j activateBackwardJob) run(from, to int) {
	vector.ActivateBackward(j.f, j.dg.Slice(from, to), j.du.Slice(from, to), j.g.Slice(from, to), j.u.Slice(from, to), j.dy.Slice(from, to))
}

// runIn runs on a lane: it also computes the output again, in the lane's scratch until dy
// has been read.
func (j activateBackwardJob) runIn(lane, from, to int) {
	if j.lanes == nil {
		j.run(from, to)
		return
	}
	rows := vector.RowsAt(unsafe.Pointer(unsafe.SliceData(j.lanes[lane])), j.dtype, to-from, j.dy.Cols(), j.dy.Cols())
	vector.Activate(j.f, rows, j.g.Slice(from, to), j.u.Slice(from, to))
	j.run(from, to)
	vector.Convert(j.again.Slice(from, to), rows)
}

// activateBackward reads all inputs of an element before it writes: DG, DU and Again may be
// the inputs.
func (d *Device) activateBackward(op *bindings.ActivateBackward) {
	s := scratchOf(d.workspace)
	j := newActivateBackward(&d.profile, op, &s)
	if j.lanes == nil {
		split(d, op.DY.Rows, op.DY.Cols, j)
		return
	}
	d.between(0, op.DY.Rows, op.DY.Cols, j.runIn)
}

func newActivateBackward(p *profile, op *bindings.ActivateBackward, s *scratch) activateBackwardJob {
	var j activateBackwardJob
	if !s.plan {
		j = activateBackwardJob{
			f: functions[op.Kind], dg: rowsOf(op.DG), du: rowsOf(op.DU), g: rowsOf(op.G), u: rowsOf(op.U), dy: rowsOf(op.DY), again: rowsOf(op.Again), dtype: types[op.DY.DType],
		}
	}
	if !op.Again.Absent() {
		j.lanes = lanes(p, s, rowsAtOnce(op.DY.Cols)*op.DY.Cols)
	}
	return j
}

func activateBackwardFloats(p *profile, op *bindings.ActivateBackward) int {
	return planned(func(s *scratch) { newActivateBackward(p, op, s) })
}
