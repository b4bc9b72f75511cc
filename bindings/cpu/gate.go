package cpu

import "qlora/bindings"

// gatePiece is how many elements one goroutine takes at a time.
const gatePiece = 1 << 13

// Gate is element by element.
func (d *Device) Gate(op *bindings.Gate) {
	if !d.ready(floats(op.Check(), op.G), op) {
		return
	}
	g, u, y := f32(op.G), f32(op.U), f32(op.Y)
	d.rows(len(g), gatePiece, func(from, to int) {
		g := g[from:to]
		u, y := u[from:to][:len(g)], y[from:to][:len(g)]
		for i, v := range g {
			y[i] = v * sigmoid(v) * u[i]
		}
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
		g := g[from:to]
		n := len(g)
		u, dy, dg, du := u[from:to][:n], dy[from:to][:n], dg[from:to][:n], du[from:to][:n]
		for i, v := range g {
			s := sigmoid(v)
			up, dv := u[i], dy[i]
			dg[i] = dv * up * s * (1 + v*(1-s))
			du[i] = dv * v * s
		}
	})
}

// sigmoid is 1/(1+e^-x).
func sigmoid(x float32) float32 { return 1 / (1 + exp(-x)) }
