package nn

import "qlora/bindings"

// operations has one operation of each kind that layers run. A device is done with an operation when
// Run returns, so a pass fills in the same ones again and again: what a step leaves to the garbage
// collector takes longer than to launch its kernels.
type operations struct {
	project          bindings.Project
	projectBackward  bindings.ProjectBackward
	attend           bindings.Attend
	attendBackward   bindings.AttendBackward
	norm             bindings.Norm
	normBackward     bindings.NormBackward
	activate         bindings.Activate
	activateBackward bindings.ActivateBackward
	rotations        [2]bindings.RoPE // of queries and keys, which one operation may have both
}

// set fills in an operation.
func set[T any](op *T, as T) *T {
	*op = as
	return op
}
