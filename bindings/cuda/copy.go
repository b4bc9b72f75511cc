package cuda

import "qlora/bindings"

// Memory operations of the device without a kernel.
type (
	clearing struct{ t bindings.Tensor }
	moving   struct{ to, from bindings.Tensor }
)

func (c *composer) zero(op *bindings.Zero) {
	if op.T.Bytes() > 0 {
		c.known.overwritten(op.T)
		c.do(&clearing{op.T})
	}
}

// copy copies bytes between equal types, and rounds to nearest even between float types.
func (c *composer) copy(op *bindings.Copy) {
	c.known.overwritten(op.Dst)
	if !op.Rows.Absent() {
		at := vector(op.Rows)
		c.check(&checkRange{values: at, limit: i32(op.Dst.Rows), ignore: none, text: unknownPlace})
		c.do(&convert{dst: matrix(op.Dst), src: matrix(op.Src), rows: at})
		return
	}
	if op.Dst.DType == op.Src.DType && op.Dst.Contiguous() && op.Src.Contiguous() {
		c.do(&moving{op.Dst, op.Src})
		return
	}
	c.do(&convert{dst: matrix(op.Dst), src: matrix(op.Src)})
}
