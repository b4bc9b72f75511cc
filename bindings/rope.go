package bindings

// RoPE applies rotary position embeddings (Su et al. 2021) in place, to the first
// n = 2·Cos.Cols dimensions of each head. It pairs halves as transformers does for
// Llama: for i < n/2 and p = Positions[t],
//
//	x[i], x[i+n/2] = x[i]·cos - x[i+n/2]·sin, x[i+n/2]·cos + x[i]·sin
//
// with cos = Cos[p][i]. Interleaved pairs x[2i] with x[2i+1] instead (GPT-J, Cohere,
// GLM). Inverse rotates by the negative angle, which is the backward.
type RoPE struct {
	X           Tensor // [tokens, Heads·HeadDim]; may be a view
	Heads       int
	K           Tensor // [tokens, KVHeads·HeadDim], rotated by the same angles; absent: X alone
	KVHeads     int
	HeadDim     int
	Positions   Tensor // I32 [1, tokens]
	Cos, Sin    Tensor // F32 [positions, n/2]
	Interleaved bool
	Inverse     bool
}

// Name returns "rope".
func (*RoPE) Name() string { return "rope" }

func (op *RoPE) declare(c *contract) {
	c.operand("X", op.X, Updates, form{any: true, view: true, types: typesOf(F32, BF16)}).Activation = true
	c.heads("X", op.X, op.Heads, op.HeadDim)
	if !op.K.Absent() {
		c.updates("K", op.K, matrix(op.X.Rows, op.KVHeads*op.HeadDim, op.X.DType).asView())
		c.heads("K", op.K, op.KVHeads, op.HeadDim)
	}
	op.angles(c)
}

// angles declares the operands other than the rotated ones.
func (op *RoPE) angles(c *contract) {
	if op.Cos.Cols <= 0 || 2*op.Cos.Cols > op.HeadDim {
		c.fail("%d angles do not fit a head of %d", op.Cos.Cols, op.HeadDim)
	}
	c.reads("Positions", op.Positions, vector(op.X.Rows, I32))
	c.reads("Cos", op.Cos, matrix(op.Cos.Rows, op.Cos.Cols, F32))
	c.reads("Sin", op.Sin, matrix(op.Cos.Rows, op.Cos.Cols, F32))
}

// heads checks that t's columns are heads of headDim columns, each in one group.
func (c *contract) heads(name string, t Tensor, heads, headDim int) {
	if heads <= 0 || headDim <= 0 || heads*headDim != t.Cols {
		c.fail("%s has %d columns, not %d heads of %d", name, t.Cols, heads, headDim)
	}
	if width, _ := t.Groups(); headDim > 0 && width%headDim != 0 {
		c.fail("%s has groups of %d columns, which is not a multiple of the head size %d", name, width, headDim)
	}
}
