package vector

// #include "vector.h"
import "C"

// Heads is the layout of heads in a row: Count of Dim columns each, in groups of Width
// adjacent columns that start Period columns apart.
type Heads struct{ Count, Dim, Width, Period int }

// RoPE rotates the first 2·half dimensions of each head of the rows of x, in place: pairs
// across the halves, or neighbors if interleaved. Cos and Sin have half angles for each
// position; sign is -1 for the inverse.
type RoPE struct {
	Heads       Heads
	Cos, Sin    []float32
	Half        int
	Interleaved bool
	Sign        float32
}

// Rotate rotates rows at the given positions, which must be in the tables.
func (r *RoPE) Rotate(x Rows, positions []int32) {
	same(x.count, len(positions))
	same(len(r.Cos), len(r.Sin))
	h := C.struct_heads{count: C.long(r.Heads.Count), dim: C.long(r.Heads.Dim), width: C.long(r.Heads.Width), period: C.long(r.Heads.Period)}
	C.vector_rope(x.kind(), x.rows(), h, integers(positions), floats(r.Cos), floats(r.Sin), C.long(r.Half), C.float(r.Sign), flag(r.Interleaved),
		C.long(x.count))
}
