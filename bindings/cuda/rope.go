package cuda

import "qlora/bindings"

// rope rotates pairs of a head's dimensions, in place.
func (c *composer) rope(op *bindings.RoPE) {
	do(c, &rope{
		x: matrix(op.X), k: matrix(op.K), heads: i32(op.Heads), kv_heads: i32(op.KVHeads), head_dim: i32(op.HeadDim),
		angles: c.angles(op), inverse: flag(op.Inverse),
	})
}

// angles returns the angles of a rotation, whose positions have been checked.
func (c *composer) angles(op *bindings.RoPE) angles {
	at := vector(op.Positions)
	c.check(&checkRange{values: at, limit: i32(op.Cos.Rows), ignore: none, text: unknownPosition})
	return angles{positions: at, cos: matrix(op.Cos), sin: matrix(op.Sin), interleaved: flag(op.Interleaved)}
}
