package cuda

import "qlora/bindings"

// activate launches one kernel.
func (c *composer) activate(op *bindings.Activate) {
	do(c, &activate{kind: i32(op.Kind), g: matrix(op.G), u: matrix(op.U), y: matrix(op.Y)})
}

// activateBackward launches one kernel.
func (c *composer) activateBackward(op *bindings.ActivateBackward) {
	do(c, &activateBackward{
		kind: i32(op.Kind), g: matrix(op.G), u: matrix(op.U), dy: matrix(op.DY), dg: matrix(op.DG), du: matrix(op.DU), y: matrix(op.Again),
	})
}
