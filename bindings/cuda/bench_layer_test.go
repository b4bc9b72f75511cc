package cuda

import (
	"qlora/bench/gpu/plan"
	"qlora/bindings"
)

// The operations of a layer between its products, on their own operands. x is
// [tokens, width].

// A lay plans one set of operands and returns the call on it.
type lay = func(o *operands, m plan.Measurement) func(*composer)

func layNorm(centered bool) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		tokens, width := m.Get("tokens"), m.Get("width")
		op := &bindings.Norm{
			X: o.random(bindings.BF16, tokens, width), Weight: o.random(bindings.BF16, 1, width), Eps: 1e-5,
			Y: o.empty(bindings.BF16, tokens, width), RStd: o.empty(bindings.F32, 1, tokens),
		}
		if centered {
			op.Centered, op.Mean, op.Bias = true, o.empty(bindings.F32, 1, tokens), o.random(bindings.BF16, 1, width)
		}
		return func(c *composer) { c.norm(op) }
	}
}

func layNormBackward(centered bool) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		tokens, width := m.Get("tokens"), m.Get("width")
		op := &bindings.NormBackward{
			Norm: bindings.Norm{X: o.random(bindings.BF16, tokens, width), Weight: o.random(bindings.BF16, 1, width), RStd: o.random(bindings.F32, 1, tokens)},
			DY:   o.random(bindings.BF16, tokens, width), DX: o.empty(bindings.BF16, tokens, width),
		}
		if centered {
			op.Centered, op.Mean = true, o.random(bindings.F32, 1, tokens)
		}
		return func(c *composer) { c.normBackward(op) }
	}
}

// activation returns the activation of an MLP: g and u are the halves of a fused
// projection; without a gate g is a tensor of its own.
func activation(o *operands, m plan.Measurement, kind bindings.Activation, gated bool) bindings.Activate {
	tokens, width := m.Get("tokens"), int(m.Get("width"))
	op := bindings.Activate{Kind: kind, Y: o.empty(bindings.BF16, tokens, int64(width))}
	if !gated {
		op.G = o.random(bindings.BF16, tokens, int64(width))
		return op
	}
	both := o.random(bindings.BF16, tokens, int64(2*width))
	op.G, op.U = both.Columns(0, width), both.Columns(width, 2*width)
	return op
}

func layActivate(kind bindings.Activation, gated bool) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		op := activation(o, m, kind, gated)
		return func(c *composer) { c.activate(&op) }
	}
}

func layActivateBackward(kind bindings.Activation, gated bool) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		tokens, width := m.Get("tokens"), int(m.Get("width"))
		op := bindings.ActivateBackward{Activate: activation(o, m, kind, gated), DY: o.random(bindings.BF16, tokens, int64(width))}
		op.DG = o.empty(bindings.BF16, tokens, int64(width))
		if gated {
			both := o.empty(bindings.BF16, tokens, int64(2*width))
			op.DG, op.DU = both.Columns(0, width), both.Columns(width, 2*width)
		}
		return func(c *composer) { c.activateBackward(&op) }
	}
}

func layRoPE(interleaved bool) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		tokens, head := m.Get("tokens"), min(m.Get("head_dim"), m.Get("width"))
		heads := m.Get("width") / head
		op := &bindings.RoPE{
			X: o.random(bindings.BF16, tokens, heads*head), Heads: int(heads), HeadDim: int(head), Positions: o.below(tokens, tokens),
			Cos: o.random(bindings.F32, tokens, head/2), Sin: o.random(bindings.F32, tokens, head/2), Interleaved: interleaved,
		}
		return func(c *composer) { c.rope(op) }
	}
}

func layAdd(dropout float32) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		tokens, width := m.Get("tokens"), m.Get("width")
		op := &bindings.Add{
			X: o.random(bindings.BF16, tokens, width), Residual: o.random(bindings.BF16, tokens, width), Y: o.empty(bindings.BF16, tokens, width),
			Dropout: dropout, Random: bindings.Random{Train: true, Seed: 1},
		}
		return func(c *composer) { c.add(op) }
	}
}

func layClamp(o *operands, m plan.Measurement) func(*composer) {
	op := &bindings.Clamp{X: o.random(bindings.BF16, m.Get("tokens"), m.Get("width")), Limit: 1}
	return func(c *composer) { c.clamp(op) }
}

func layClampBackward(o *operands, m plan.Measurement) func(*composer) {
	tokens, width := m.Get("tokens"), m.Get("width")
	op := &bindings.ClampBackward{X: o.random(bindings.BF16, tokens, width), DX: o.random(bindings.BF16, tokens, width), Limit: 1}
	return func(c *composer) { c.clampBackward(op) }
}

// layCopyHeads copies the queries out of a fused projection whose heads are laid out
// [q, k, v], [q, k, v], …
func layCopyHeads(o *operands, m plan.Measurement) func(*composer) {
	tokens, head := m.Get("tokens"), min(m.Get("head_dim"), m.Get("width"))
	heads := m.Get("width") / head
	fused := o.random(bindings.BF16, tokens, 3*heads*head)
	op := &bindings.Copy{Dst: o.empty(bindings.BF16, tokens, heads*head), Src: fused.Every(int(3*head), 0, int(head))}
	return func(c *composer) { c.copy(op) }
}

func layEmbed(accumulate bool) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		tokens, width, vocabulary := m.Get("tokens"), m.Get("width"), m.Get("vocabulary")
		op := &bindings.Embed{
			IDs: o.below(vocabulary, tokens), Table: o.random(bindings.BF16, vocabulary, width), Y: o.empty(bindings.BF16, tokens, width),
			Accumulate: accumulate,
		}
		return func(c *composer) { c.embed(op) }
	}
}

func layEmbedBackward(o *operands, m plan.Measurement) func(*composer) {
	tokens, width, vocabulary := m.Get("tokens"), m.Get("width"), m.Get("vocabulary")
	op := &bindings.EmbedBackward{
		IDs: o.below(vocabulary, tokens), DTable: o.empty(bindings.F32, vocabulary, width), DY: o.random(bindings.BF16, tokens, width), Pad: -1,
	}
	return func(c *composer) { c.embedBackward(op) }
}
