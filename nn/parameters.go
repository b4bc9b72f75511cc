package nn

import "qlora/bindings"

// Parameters lays out gradients and optimizer state in the plan for all that is
// trained: the adapters attached so far, or every weight with Options.Train. It
// is called once. Adapters are named "<projection>.lora_A.weight", base weights
// as in the checkpoint. Weight decay applies to matrices that are no norm and no
// bias, as in Hugging Face's Trainer.
func (m *Model) Parameters() []bindings.Param {
	var params []bindings.Param
	add := func(name string, value bindings.Tensor, decay bool) bindings.Tensor {
		p := m.parameter(name, value, decay)
		params = append(params, p)
		return p.Grad
	}
	if m.Options.Train {
		m.embeddingGrad = add("model.embed_tokens.weight", m.embedding, true)
	}
	for _, l := range m.layers {
		for _, n := range []*normWeight{&l.inputNorm, &l.postNorm, &l.qNorm, &l.kNorm} {
			if m.Options.Train && n.name != "" {
				n.grad = add(n.name, n.weight, false)
			}
		}
		for _, p := range l.projections() {
			if m.Options.Train {
				p.DWeight = add(p.Name+".weight", p.Weight.Dense, true)
				if !p.Bias.Absent() {
					p.DBias = add(p.Name+".bias", p.Bias, false)
				}
			}
			if p.Adapter != nil {
				p.DA = add(p.Name+".lora_A.weight", p.Adapter.A, true)
				p.DB = add(p.Name+".lora_B.weight", p.Adapter.B, true)
			}
		}
	}
	if m.Options.Train {
		m.norm.grad = add(m.norm.name, m.norm.weight, false)
		if m.Config.Tied {
			m.head.DWeight = m.embeddingGrad
		} else {
			m.head.DWeight = add("lm_head.weight", m.head.Weight.Dense, true)
		}
	}
	m.params = params
	return params
}

func (l *layer) projections() []*Projection {
	return []*Projection{&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}
}

// parameter lays out what training one tensor takes. The optimizer moves a
// float32 master; where the tensor itself is float32 it is its own.
func (m *Model) parameter(name string, value bindings.Tensor, decay bool) bindings.Param {
	state, rows, cols := m.memory.Arena(bindings.Optimizer), value.Rows, value.Cols
	p := bindings.Param{
		Name: name, Value: value, Master: value, Decay: decay,
		Grad: m.memory.Arena(bindings.Gradients).New(bindings.F32, rows, cols),
		M:    state.New(bindings.F32, rows, cols),
		V:    state.New(bindings.F32, rows, cols),
	}
	if value.DType != bindings.F32 {
		p.Master = state.New(bindings.F32, rows, cols)
		m.masters[name] = p.Master
	}
	return p
}
