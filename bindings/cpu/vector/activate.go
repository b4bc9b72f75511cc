package vector

// #include "vector.h"
import "C"

// A Function is an activation.
type Function C.int

// The activations with activate.h's numbers: x·sigmoid(x), x·Φ(x), its approximation by
// tanh, max(x, 0) and its square.
const (
	SiLU Function = iota
	GELU
	GELUTanh
	ReLU
	ReLUSquared
)

// Activate computes y = f(g)·u, or y = f(g) if u is absent.
func Activate(f Function, y, g, u Rows) {
	y.like(g)
	if !u.absent() {
		y.like(u)
	}
	rows, cols := y.shape(g, u)
	C.vector_activate(C.int(f), y.kind(), y.rows(), g.rows(), u.rows(), rows, cols)
}

// ActivateBackward computes dg = dy·u·f'(g) and du = dy·f(g), or dg = dy·f'(g) if u and du
// are absent. Outputs may be inputs.
func ActivateBackward(f Function, dg, du, g, u, dy Rows) {
	dg.like(g)
	dg.like(dy)
	if !u.absent() {
		dg.like(u)
		dg.like(du)
	}
	rows, cols := dg.shape(du, g, u, dy)
	C.vector_activate_backward(C.int(f), dg.kind(), dg.rows(), du.rows(), g.rows(), u.rows(), dy.rows(), rows, cols)
}
