package bindings

// Extend makes tokens ready for attention over a cache: it normalizes and rotates their queries, in
// place, and their keys, and writes keys and values to the tokens' rows of the cache:
//
//	Q = rope(norm(Q))    Keys[Rows[t]] = rope(norm(K[t]))    Values[Rows[t]] = V[t]
//
// A result is rounded between norm and rotation, as by Norm and RoPE in turn.
type Extend struct {
	Q, K, V      Tensor // [tokens, Heads·HeadDim] and [tokens, KVHeads·HeadDim]; may be views. Q absent: it is ready
	Heads        int
	KVHeads      int
	HeadDim      int
	QNorm, KNorm *Norm  // of each head: Weight, Bias, Offset, Centered and Eps are used; nil: none. Not of a view
	QRoPE, KRoPE *RoPE  // Positions, Cos, Sin and Interleaved are used; nil: none
	Keys, Values Tensor // [rows, KVHeads·HeadDim]; other rows keep what they have
	Rows         Tensor // I32 [1, tokens], no two the same
}

// Name returns "extend".
func (*Extend) Name() string { return "extend" }

func (op *Extend) declare(c *contract) {
	like := c.leads("K", op.K)
	tokens, width := op.K.Rows, op.KVHeads*op.HeadDim
	c.heads("K", op.K, op.KVHeads, op.HeadDim)
	c.reads("V", op.V, like(tokens, width).asView())
	c.heads("V", op.V, op.KVHeads, op.HeadDim)
	if op.Q.Absent() {
		c.that(op.QNorm == nil && op.QRoPE == nil, "Q is absent")
	} else {
		c.updates("Q", op.Q, like(tokens, op.Heads*op.HeadDim).asView())
		c.heads("Q", op.Q, op.Heads, op.HeadDim)
	}
	op.side(c, "Q", op.Q, op.Heads, op.QNorm, op.QRoPE)
	op.side(c, "K", op.K, op.KVHeads, op.KNorm, op.KRoPE)
	c.updates("Keys", op.Keys, like(op.Keys.Rows, width))
	c.updates("Values", op.Values, like(op.Keys.Rows, width))
	c.reads("Rows", op.Rows, vector(tokens, I32))
}

// side declares the operands of a norm and a rotation of x's heads.
func (op *Extend) side(c *contract, field string, x Tensor, heads int, n *Norm, r *RoPE) {
	if n != nil {
		c.dense(field, x)
		turns := n.turns()
		c.that(turns > 0 && heads%max(turns, 1) == 0, "%d heads do not divide into turns of %d", heads, turns)
		parameters := matrix(turns, op.HeadDim, floats...).orAbsent()
		if turns == 1 {
			parameters = vector(op.HeadDim, floats...).orAbsent()
		}
		c.reads(field+"Norm.Weight", n.Weight, parameters)
		c.reads(field+"Norm.Bias", n.Bias, parameters)
	}
	if r != nil {
		c.that(!r.Inverse, "the rotation of %s is an inverse", field)
		turned := RoPE{X: x, HeadDim: op.HeadDim, Positions: r.Positions, Cos: r.Cos, Sin: r.Sin}
		turned.angles(c)
	}
}
