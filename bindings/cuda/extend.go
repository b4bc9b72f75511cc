package cuda

import "qlora/bindings"

// extend launches one kernel.
func (c *composer) extend(op *bindings.Extend) {
	k := extend{
		q: matrix(op.Q), k: matrix(op.K), v: matrix(op.V), heads: i32(op.Heads), kv_heads: i32(op.KVHeads), head_dim: i32(op.HeadDim),
		q_norm: headNormOf(op.QNorm, op.HeadDim), k_norm: headNormOf(op.KNorm, op.HeadDim),
		keys: matrix(op.Keys), values: matrix(op.Values), rows: vector(op.Rows),
	}
	if op.QRoPE != nil {
		k.q_angles = c.angles(op.QRoPE)
	}
	if op.KRoPE != nil {
		k.k_angles = c.angles(op.KRoPE)
	}
	c.check(&checkRange{values: k.rows, limit: i32(op.Keys.Rows), ignore: none, text: unknownPlace})
	do(c, &k)
}

// headNormOf returns a norm of heads; absent for nil.
func headNormOf(n *bindings.Norm, dim int) headNorm {
	if n == nil {
		return headNorm{}
	}
	return headNorm{
		weight: turnRows(n.Weight, dim), bias: turnRows(n.Bias, dim), eps: float(n.Eps), offset: float(n.Offset),
		centered: flag(n.Centered), present: 1,
	}
}
