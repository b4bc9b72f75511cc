package vector

// #include "vector.h"
import "C"

// Clamp clamps every element of rows without gaps to [-limit, limit]; a NaN stays one. In
// bfloat16 the limit is rounded first.
func Clamp(x Rows, limit float32) {
	C.vector_clamp(x.kind(), x.rows(), x.length(), C.float(limit))
}

// ClampBackward clears dx where x, Clamp's result, has reached the limit.
func ClampBackward(x, dx Rows, limit float32) {
	x.like(dx)
	same(int(x.length()), int(dx.length()))
	C.vector_clamp_backward(x.kind(), x.rows(), dx.rows(), x.length(), C.float(limit))
}
