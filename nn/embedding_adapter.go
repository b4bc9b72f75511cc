package nn

import "qlora/bindings"

// An EmbeddingAdapter is a low-rank change of an embedding's table, as PEFT's on an
// embedding, which has no dropout:
//
//	x = Scale·(Table[id] + Alpha·A[id]·Bᵀ)
type EmbeddingAdapter struct {
	A     bindings.Tensor // [vocabulary, r]
	B     bindings.Tensor // [features, r]
	Alpha float32

	up Projection      // B as a linear layer
	da bindings.Tensor // F32, like A; absent: frozen
}

// AdaptEmbedding puts an adapter of rank r on the embedding, in arena a.
func (m *Model) AdaptEmbedding(a *bindings.Arena, r int, alpha float32) *EmbeddingAdapter {
	e, dtype := &m.Embedding, m.info.Activation
	l := &EmbeddingAdapter{A: a.New(dtype, m.Config.Vocabulary, r), B: a.New(dtype, e.Size, r), Alpha: alpha}
	l.up.Name, l.up.Weight = e.Name, bindings.Weight{Out: e.Size, In: r, Dense: l.B}
	e.adapter = l
	return l
}

// parameters lays out the adapter's parameters.
func (l *EmbeddingAdapter) parameters(m *Model, state bindings.OptimizerState) []bindings.Param {
	first := m.parameter(m.Embedding.Name+".lora_embedding_A", l.A, bindings.RoleLoraEmbedding, state)
	second := m.parameter(m.Embedding.Name+".lora_embedding_B", l.B, bindings.RoleLoraEmbedding, state)
	l.da, l.up.DWeight = first.Grad, second.Grad
	return []bindings.Param{first, second}
}

// scale returns the factor of A, with the embedding's own; 0: the adapter has no effect.
func (l *EmbeddingAdapter) scale(e *Embedding) float32 {
	if e.Scale == 0 {
		return l.Alpha
	}
	return l.Alpha * e.Scale
}

// low returns the rows of A in the workspace.
func (l *EmbeddingAdapter) low(p *pass, e *Embedding) bindings.Tensor {
	xa := p.features(p.work, l.A.Cols)
	p.run(&bindings.Embed{IDs: column(p.m.inputs.ids, p.tokens), Table: l.A, Y: xa, Scale: l.scale(e)})
	return xa
}

// add adds the adapter's change to x [tokens, features].
func (l *EmbeddingAdapter) add(p *pass, e *Embedding, x bindings.Tensor) {
	if l == nil || l.scale(e) == 0 {
		return
	}
	mark := p.work.Mark()
	part := l.up.part(x, bindings.Tensor{})
	part.Residual = x
	p.run(&bindings.Project{X: l.low(p, e), Parts: []bindings.Part{part}})
	p.work.Release(mark)
}

// trained reports whether the adapter has gradients.
func (l *EmbeddingAdapter) trained() bool { return l != nil && !l.da.Absent() }

// backward adds to the gradients of A and B; d is the gradient of x.
func (l *EmbeddingAdapter) backward(p *pass, e *Embedding, d bindings.Tensor) {
	if !l.trained() || l.scale(e) == 0 {
		return
	}
	mark := p.work.Mark()
	xa, dxa := l.low(p, e), p.features(p.work, l.A.Cols)
	p.projectBackward(xa, &target{room: func() bindings.Tensor { return dxa }}, l.up.back(d, bindings.Tensor{}))
	p.run(&bindings.EmbedBackward{IDs: column(p.m.inputs.ids, p.tokens), DY: dxa, DTable: l.da, Scale: l.scale(e), Pad: p.m.Config.Pad})
	p.work.Release(mark)
}
