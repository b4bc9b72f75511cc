package cpu

import "qlora/bindings"

// features returns operations that use the fields everyOperation leaves out, on columns
// of fused projections. ids are below vocabulary; tensor declares random numbers of the
// activations' type, and float of float32.
func features(tensor, float func(rows, cols int) bindings.Tensor, ids bindings.Tensor, sequences bindings.Sequences, vocabulary int) []bindings.Operation {
	const heads, kvHeads, dim, wide = 4, 2, 24, 1100
	tokens, width := ids.Cols, heads*dim
	random := bindings.Random{Train: true, Seed: 9, Step: 2}
	x, dx := tensor(tokens, width), tensor(tokens, width)

	layer := &bindings.Norm{
		X: x, Weight: tensor(1, width), Bias: tensor(1, width), Centered: true, Eps: 1e-5,
		Y: tensor(tokens, width), Mean: float(1, tokens), RStd: float(1, tokens),
	}
	layerBackward := &bindings.NormBackward{Norm: *layer, DY: tensor(tokens, width), DX: dx, DWeight: float(1, width), DBias: float(1, width)}
	perHead := &bindings.Norm{
		X: x.Reshape(tokens*heads, dim), Weight: tensor(heads, dim), Offset: 1, Y: tensor(tokens*heads, dim), RStd: float(1, tokens*heads),
	}
	perHeadBackward := &bindings.NormBackward{
		Norm: *perHead, DY: tensor(tokens*heads, dim), DX: dx.Reshape(tokens*heads, dim), Accumulate: true, DWeight: float(heads, dim),
	}

	const group = (heads/kvHeads + 2) * dim
	split := func(t bindings.Tensor) (q, k, v bindings.Tensor) {
		return t.Every(group, 0, group-2*dim), t.Every(group, group-2*dim, dim), t.Every(group, group-dim, dim)
	}
	q, k, v := split(tensor(tokens, kvHeads*group))
	dq, dk, dv := split(tensor(tokens, kvHeads*group))
	rope := &bindings.RoPE{X: q, Heads: heads, HeadDim: dim, Positions: ids, Cos: float(vocabulary, 6), Sin: float(vocabulary, 6), Interleaved: true}
	attend := &bindings.Attend{
		Q: q, K: k, V: v, O: tensor(tokens, width), LSE: float(tokens, heads), Queries: sequences, Keys: sequences,
		Heads: heads, KVHeads: kvHeads, HeadDim: dim, Scale: 0.2, Window: 150, Cap: 5,
		KeyBias: float(heads, tokens), Sinks: float(1, heads), Dropout: 0.1, Stream: bindings.ModelStream, Random: random,
	}
	attendBackward := &bindings.AttendBackward{Attend: *attend, DO: dx, DQ: dq, DK: dk, DV: dv, DSinks: float(1, heads)}

	pair, grads := tensor(tokens, 2*wide), tensor(tokens, 2*wide)
	activate := &bindings.Activate{Kind: bindings.GELU, G: pair.Columns(0, wide), U: pair.Columns(wide, 2*wide), Y: tensor(tokens, wide)}
	activateBackward := &bindings.ActivateBackward{
		Activate: *activate, DY: tensor(tokens, wide), DG: grads.Columns(0, wide), DU: grads.Columns(wide, 2*wide),
	}
	plain := &bindings.ActivateBackward{
		Activate: bindings.Activate{Kind: bindings.GELUTanh, G: activate.Y}, DY: activateBackward.DY, DG: tensor(tokens, wide),
	}
	add := &bindings.Add{X: activate.Y, Residual: plain.DG, Y: plain.DG, Scale: 0.3, Dropout: 0.2, Stream: 5, Random: random}
	addBackward := &bindings.AddBackward{DY: activateBackward.DY, DX: activate.Y, Scale: 0.3, Dropout: 0.2, Stream: 5, Random: random}

	table := tensor(vocabulary, width)
	embed := &bindings.Embed{IDs: ids, Table: table, Y: x, Accumulate: true, Scale: 0.5, Noise: 0.1, Random: random}
	embedBackward := &bindings.EmbedBackward{IDs: ids, DY: dx, DTable: float(vocabulary, width), Scale: 0.5, Pad: -1}
	head := &bindings.Linear{Name: "head", Weight: bindings.Weight{Out: vocabulary, In: width, Dense: table}, Bias: tensor(1, vocabulary)}
	loss := &bindings.HeadLoss{
		X: x, Linear: head, LogitScale: 0.5, LogitCap: 3, Labels: ids, Scale: 0.01, Stats: float(1, 3),
		DX: dx, DWeight: embedBackward.DTable, DBias: float(1, vocabulary),
	}
	return []bindings.Operation{
		layer, layerBackward, perHead, perHeadBackward, rope, attend, attendBackward, activate, activateBackward, plain,
		add, addBackward, &bindings.Copy{Dst: dq, Src: q}, &bindings.Clamp{X: x, Limit: 1.5}, &bindings.ClampBackward{X: x, DX: dx, Limit: 1.5},
		embed, embedBackward, loss, &bindings.Zero{T: add.Y},
	}
}
