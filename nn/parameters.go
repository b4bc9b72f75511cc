package nn

import "qlora/bindings"

// Parameters lays out gradients and optimizer state in the plan for all that is
// trained: the adapters attached so far, or every weight with Options.Train. It
// is called once. Adapters are named "<projection>.lora_A.weight", base weights
// as in the checkpoint.
func (m *Model) Parameters(state bindings.State) []bindings.Param {
	m.rule = state.Rule
	var params []bindings.Param
	add := func(name string, value bindings.Tensor, kind kind) bindings.Tensor {
		p := m.parameter(name, value, kind, state)
		params = append(params, p)
		return p.Grad
	}
	if m.Options.Train {
		m.embeddingGrad = add("model.embed_tokens.weight", m.embedding, table)
	}
	for _, l := range m.layers {
		for _, n := range []*normWeight{&l.inputNorm, &l.postNorm, &l.qNorm, &l.kNorm} {
			if m.Options.Train && n.name != "" {
				n.grad = add(n.name, n.weight, vector)
			}
		}
		for _, p := range l.projections() {
			if m.Options.Train {
				p.DWeight = add(p.Name+".weight", p.Weight.Dense, matrix)
				if !p.Bias.Absent() {
					p.DBias = add(p.Name+".bias", p.Bias, vector)
				}
			}
			if p.Adapter != nil {
				p.DA = add(p.Name+".lora_A.weight", p.Adapter.A, matrix)
				p.DB = add(p.Name+".lora_B.weight", p.Adapter.B, matrix)
			}
		}
	}
	if m.Options.Train {
		m.norm.grad = add(m.norm.name, m.norm.weight, vector)
		if m.Config.Tied {
			m.head.DWeight = m.embeddingGrad
		} else {
			m.head.DWeight = add("lm_head.weight", m.head.Weight.Dense, matrix)
		}
	}
	m.params = params
	return params
}

func (l *layer) projections() []*Projection {
	return []*Projection{&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}
}

// A kind of trained tensor decides what the optimizer does with it, as in Hugging
// Face's Trainer.
type kind uint8

const (
	matrix kind = iota // it decays
	table              // an embedding: it decays, and its moments are never in 8 bits
	vector             // a norm or a bias: it does not decay
)

// parameter lays out what training one tensor takes. The optimizer moves a
// float32 master; where the tensor itself is float32 it is its own.
func (m *Model) parameter(name string, value bindings.Tensor, kind kind, state bindings.State) bindings.Param {
	a, rows, cols := m.memory.Arena(bindings.Optimizer), value.Rows, value.Cols
	p := bindings.Param{
		Name: name, Value: value, Master: value, Decay: kind != vector, Rate: 1,
		Grad: m.memory.Arena(bindings.Gradients).New(bindings.F32, rows, cols),
	}
	p.M, p.V = state.Moments(a, rows, cols, kind == table)
	if value.DType != bindings.F32 {
		p.Master = a.New(bindings.F32, rows, cols)
		m.masters[name] = p.Master
	}
	return p
}
