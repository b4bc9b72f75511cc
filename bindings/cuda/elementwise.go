package cuda

import "qlora/bindings"

// Rotate turns pairs of a head's halves, in place.
func (d *Device) Rotate(op *bindings.Rotate) {
	d.run("rotate", op.Check(), op, func(c *composer) {
		at := vector(op.Positions)
		c.do(&checkRange{values: at, limit: i32(op.Cos.Rows), ignore: none, text: unknownPosition})
		c.do(&rotate{
			x: matrix(op.X), heads: i32(op.Heads), head_dim: i32(op.HeadDim),
			positions: at, cos: matrix(op.Cos), sin: matrix(op.Sin), inverse: flag(op.Inverse),
		})
	})
}

// Gate is one kernel.
func (d *Device) Gate(op *bindings.Gate) {
	d.run("gate", op.Check(), op, func(c *composer) {
		c.do(&gate{g: matrix(op.G), u: matrix(op.U), y: matrix(op.Y)})
	})
}

// GateBackward is one kernel.
func (d *Device) GateBackward(op *bindings.Gate) {
	d.run("gate backward", op.CheckBackward(), op, func(c *composer) {
		c.do(&gateBackward{g: matrix(op.G), u: matrix(op.U), dy: matrix(op.DY), dg: matrix(op.DG), du: matrix(op.DU)})
	})
}

// Zero clears t.
func (d *Device) Zero(t bindings.Tensor) {
	if t.Bytes() > 0 {
		d.fail(d.context.zero(t.Address(), t.Bytes()))
	}
}

// Copy copies src to dst; between types of numbers it rounds to nearest even.
func (d *Device) Copy(dst, src bindings.Tensor) {
	pair := &struct{ Copy, Source bindings.Tensor }{dst, src}
	d.run("copy", bindings.CheckCopy(dst, src), pair, func(c *composer) {
		if dst.DType == src.DType {
			d.fail(d.context.move(dst.Address(), src.Address(), dst.Bytes()))
			return
		}
		c.do(&convert{dst: matrix(dst), src: matrix(src)})
	})
}
