package cuda

import "qlora/bindings"

// decodeKeys is the number of keys per block of the decoding kernel; decodePieces is the
// maximum number of pieces.
const decodeKeys, decodePieces = 256, 32

// attend processes the keys of each tile of queries. If no sequence has more than one query,
// as in generation, it processes pieces of the keys in parallel.
func (c *composer) attend(op *bindings.Attend) {
	k := attentionOf(op)
	if k.mask.threshold > 0 || !op.LSE.Absent() || op.Queries.Bound() > 1 {
		do(c, (*attend)(&k))
		return
	}
	n := min(ceil(op.Keys.Bound(), decodeKeys), decodePieces)
	k.workspace = c.scratch.partials(n, op.Q.Rows*op.Heads*(op.HeadDim+2))
	do(c, (*attendDecode)(&k))
}

// attendBackward recomputes P from LSE.
func (c *composer) attendBackward(op *bindings.AttendBackward) {
	k := attendBackward{
		forward: attentionOf(&op.Attend), d_o: matrix(op.DO), dq: matrix(op.DQ), dk: matrix(op.DK), dv: matrix(op.DV), dsinks: vector(op.DSinks),
		workspace: c.scratch.take(bindings.F32, op.Heads, op.Q.Rows), // rowsum(DO·O)
	}
	if op.AfterQ != nil {
		k.q_angles = c.angles(op.AfterQ)
	}
	if op.AfterK != nil {
		k.k_angles = c.angles(op.AfterK)
	}
	do(c, &k)
}

func attentionOf(op *bindings.Attend) attention {
	return attention{
		q: matrix(op.Q), k: matrix(op.K), v: matrix(op.V), o: matrix(op.O), lse: matrix(op.LSE),
		q_starts: pointer[i32](op.Queries.Device), k_starts: pointer[i32](op.Keys.Device),
		sequences: i32(op.Queries.Count()), longest_q: i32(op.Queries.Bound()), longest_k: i32(op.Keys.Bound()),
		heads: i32(op.Heads), kv_heads: i32(op.KVHeads), head_dim: i32(op.HeadDim),
		scale: float(op.Scale), window: i32(op.Window), cap: float(op.Cap),
		key_bias: matrix(op.KeyBias), sinks: vector(op.Sinks), mask: maskOf(op.Random, op.Stream, op.Dropout),
	}
}
