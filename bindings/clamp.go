package bindings

// Clamp clamps every element of X to [-Limit, Limit], in place (OLMo's clip_qkv).
type Clamp struct {
	X     Tensor // [tokens, features]
	Limit float32
}

// ClampBackward is the backward of Clamp, in place: DX = 0 where |X| >= Limit.
type ClampBackward struct {
	X     Tensor // [tokens, features], Clamp's result
	DX    Tensor // like X
	Limit float32
}

// Name returns "clamp".
func (*Clamp) Name() string { return "clamp" }

func (op *Clamp) declare(c *contract) {
	c.operand("X", op.X, Updates, form{any: true, types: typesOf(F32, BF16)}).Activation = true
	c.that(op.Limit > 0, "Limit is %g", op.Limit)
}

// Name returns "clamp backward".
func (*ClampBackward) Name() string { return "clamp backward" }

func (op *ClampBackward) declare(c *contract) {
	like := c.leads("X", op.X)
	c.dense("X", op.X)
	c.updates("DX", op.DX, like(op.X.Rows, op.X.Cols))
	c.that(op.Limit > 0, "Limit is %g", op.Limit)
}
