package cuda

import "qlora/bindings"

// Work on memory that the device does without a kernel of its own.
type (
	clearing struct{ t bindings.Tensor }
	moving   struct{ to, from bindings.Tensor }
)

func (c *composer) zero(op *bindings.Zero) {
	if op.T.Bytes() > 0 {
		c.do(&clearing{op.T})
	}
}

// copy moves what stays as it is; between types of numbers it rounds to nearest even.
func (c *composer) copy(op *bindings.Copy) {
	if op.Dst.DType == op.Src.DType && op.Dst.Contiguous() && op.Src.Contiguous() {
		c.do(&moving{op.Dst, op.Src})
		return
	}
	c.do(&convert{dst: matrix(op.Dst), src: matrix(op.Src)})
}
