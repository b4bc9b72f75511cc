package cuda

import (
	"unsafe"

	"qlora/bindings"
)

// Memory operations of the device without a kernel.
type (
	clearing struct {
		at    unsafe.Pointer
		bytes int64
	}
	moving struct {
		to, from unsafe.Pointer
		bytes    int64
	}
)

func (c *composer) zero(op *bindings.Zero) {
	if op.T.Bytes() > 0 {
		c.known.overwritten(op.T)
		do(c, &clearing{address(op.T), op.T.Bytes()})
	}
}

// copy copies bytes between equal types, and rounds to nearest even between float types.
func (c *composer) copy(op *bindings.Copy) {
	c.known.overwritten(op.Dst)
	if !op.Rows.Absent() {
		at := vector(op.Rows)
		c.check(&checkRange{values: at, limit: i32(op.Dst.Rows), ignore: none, text: unknownPlace})
		do(c, &convert{dst: matrix(op.Dst), src: matrix(op.Src), rows: at})
		return
	}
	if op.Dst.DType == op.Src.DType && op.Dst.Contiguous() && op.Src.Contiguous() {
		do(c, &moving{address(op.Dst), address(op.Src), op.Dst.Bytes()})
		return
	}
	do(c, &convert{dst: matrix(op.Dst), src: matrix(op.Src)})
}
