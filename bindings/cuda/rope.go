package cuda

import "qlora/bindings"

// rope rotates pairs of a head's dimensions, in place.
func (c *composer) rope(op *bindings.RoPE) {
	at := vector(op.Positions)
	c.check(&checkRange{values: at, limit: i32(op.Cos.Rows), ignore: none, text: unknownPosition})
	c.do(&rope{
		x: matrix(op.X), heads: i32(op.Heads), head_dim: i32(op.HeadDim),
		positions: at, cos: matrix(op.Cos), sin: matrix(op.Sin),
		interleaved: flag(op.Interleaved), inverse: flag(op.Inverse),
	})
}
