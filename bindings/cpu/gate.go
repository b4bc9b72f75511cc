package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// gatePiece is how many elements one goroutine takes at a time.
const gatePiece = 1 << 13

// Gate is element by element.
func (d *Device) Gate(op *bindings.Gate) {
	if !d.ready(floats(op.Check(), op.G), op) {
		return
	}
	g, u, y := f32(op.G), f32(op.U), f32(op.Y)
	d.rows(len(g), gatePiece, func(from, to int) {
		vector.Gate(y[from:to], g[from:to], u[from:to])
	})
}

// GateBackward reads all of an element before it writes: DG and DU may lie over
// the inputs.
func (d *Device) GateBackward(op *bindings.Gate) {
	if !d.ready(floats(op.CheckBackward(), op.G), backward{op}) {
		return
	}
	g, u, dy, dg, du := f32(op.G), f32(op.U), f32(op.DY), f32(op.DG), f32(op.DU)
	d.rows(len(g), gatePiece, func(from, to int) {
		vector.GateBackward(dg[from:to], du[from:to], g[from:to], u[from:to], dy[from:to])
	})
}
