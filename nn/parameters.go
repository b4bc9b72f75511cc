package nn

import "qlora/bindings"

// Parameters lays out gradients and optimizer state in the plan and returns all
// trained tensors: the weights of Options.Train or Options.Modules, and the adapters
// attached so far. Call it once. Adapters are named "<projection>.lora_A.weight" and
// "<projection>.lora_magnitude_vector"; weights have the checkpoint's names.
func (m *Model) Parameters(state bindings.OptimizerState) []bindings.Param {
	m.rule = state.Rule
	var params []bindings.Param
	add := func(name string, value bindings.Tensor, role bindings.Role) bindings.Tensor {
		p := m.parameter(name, value, role, state)
		params = append(params, p)
		return p.Grad
	}
	for i := range m.weights {
		w := &m.weights[i]
		switch {
		case !m.trains(w):
		case w.whole != nil:
			params = append(params, m.turnParameter(w, state))
		default:
			*w.grad = add(w.name, w.dense, w.role())
		}
	}
	for _, r := range m.rows {
		params = append(params, r.parameter(m, state))
	}
	if m.Tied() {
		m.Head.out.DWeight = m.Embedding.grad
	}
	if l := m.Embedding.adapter; l != nil {
		params = append(params, l.parameters(m, state)...)
	}
	if l := m.Head.adapter; l != nil {
		params = append(params, l.parameters(m, state)...)
	}
	stacked := m.StackA(m.memory.Arena(bindings.Gradients), bindings.F32, func(p *Projection) int {
		if p.Adapter == nil {
			return 0
		}
		return p.Adapter.Rank()
	})
	for _, p := range m.Projections() {
		if a := p.Adapter; a != nil {
			name := p.Name + ".lora_A.weight"
			if grad, is := stacked[p]; is {
				p.DA = grad
				params = append(params, m.parameterWith(grad, name, a.A, bindings.RoleLoraA, state))
			} else {
				p.DA = add(name, a.A, bindings.RoleLoraA)
			}
			p.DB = add(p.Name+".lora_B.weight", a.B, bindings.RoleLoraB)
			if b := m.biases.of[&p.Linear]; b != nil {
				b.db = add(p.Name+".lora_B.bias", b.b, bindings.RoleBias)
			}
			if !a.Magnitude.Absent() {
				p.DMagnitude = add(p.Name+".lora_magnitude_vector", a.Magnitude, bindings.RoleMagnitude)
			}
		}
	}
	m.params = params
	return params
}

// Derive computes the values that depend on the parameters: the row norms of adapters
// with a magnitude, and the tables with trained rows. Call it after every change of the
// parameters.
func (m *Model) Derive(dev bindings.Device) {
	for _, r := range m.rows {
		r.scatter(dev)
	}
	m.Head.adapter.derive(dev)
	for _, p := range m.Projections() {
		p.Derive(dev)
	}
}

// A kind is the optimizer's treatment of a trained tensor, as in Hugging Face's
// Trainer.
type kind uint8

const (
	matrix kind = iota // a matrix or an adapter's magnitude: decays
	table              // an embedding: decays, with moments never in 8 bits
	vector             // a norm or a bias: does not decay
)

// role returns the weight's role for the optimizer.
func (w *weightSource) role() bindings.Role {
	switch {
	case w.kind == table:
		return bindings.RoleEmbedding
	case w.kind == vector && w.bias:
		return bindings.RoleBias
	case w.kind == vector && w.layerNorm:
		return bindings.RoleLayerNorm
	case w.kind == vector:
		return bindings.RoleNorm
	}
	return bindings.RoleMatrix
}

// parameter lays out the gradient and optimizer state of one tensor. The optimizer
// updates a float32 master; a float32 tensor is its own master.
func (m *Model) parameter(name string, value bindings.Tensor, role bindings.Role, state bindings.OptimizerState) bindings.Param {
	grad := m.memory.Arena(bindings.Gradients).New(bindings.F32, value.Rows, value.Cols)
	return m.parameterWith(grad, name, value, role, state)
}

// turnParameter is parameter for a weight that is one row of a tensor; its gradient
// is the same row of the gradient.
func (m *Model) turnParameter(w *weightSource, state bindings.OptimizerState) bindings.Param {
	if w.grad.Absent() {
		*w.grad = m.memory.Arena(bindings.Gradients).New(bindings.F32, w.whole.Rows, w.whole.Cols)
	}
	return m.parameterWith(w.grad.Slice(w.turn, w.turn+1), w.name, w.dense, w.role(), state)
}

func (m *Model) parameterWith(grad bindings.Tensor, name string, value bindings.Tensor, role bindings.Role, state bindings.OptimizerState) bindings.Param {
	a, rows, cols := m.memory.Arena(bindings.Optimizer), value.Rows, value.Cols
	p := bindings.Param{
		Name: name, Role: role, Value: value, Master: value, Decay: role.Decays(), Rate: 1, Grad: grad,
	}
	p.M, p.V = state.Moments(a, rows, cols, role == bindings.RoleEmbedding)
	if value.DType != bindings.F32 {
		if p.Master = grad; !state.Parts {
			p.Master = a.New(bindings.F32, rows, cols)
		}
		m.masters[value] = p.Master
	}
	return p
}
