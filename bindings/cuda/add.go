package cuda

import "qlora/bindings"

// add launches one kernel.
func (c *composer) add(op *bindings.Add) {
	do(c, &add{
		x: matrix(op.X), residual: matrix(op.Residual), y: matrix(op.Y), scale: orOne(op.Scale),
		mask: maskOf(op.Random, op.Stream, op.Dropout),
	})
}

// addBackward launches the same kernel without a residual.
func (c *composer) addBackward(op *bindings.AddBackward) {
	do(c, &add{
		x: matrix(op.DY), y: matrix(op.DX), scale: orOne(op.Scale), mask: maskOf(op.Random, op.Stream, op.Dropout),
	})
}

// clamp launches one kernel.
func (c *composer) clamp(op *bindings.Clamp) {
	do(c, &clamp{x: matrix(op.X), limit: float(op.Limit)})
}

// clampBackward launches one kernel.
func (c *composer) clampBackward(op *bindings.ClampBackward) {
	do(c, &clamp{x: matrix(op.X), dx: matrix(op.DX), limit: float(op.Limit)})
}
