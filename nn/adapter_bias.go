package nn

import "qlora/bindings"

// An adapterBias is the bias of an adapter's B, as PEFT's lora_bias: the adapter adds
// Scale·bias to each token's output. No operation has it. It is an adapter of rank 1 of
// its own, whose A is 1, on an input that is 1 and a weight that is 0:
//
//	Y = Y + 1·0 + Scale·(1·1)·biasᵀ    DB += Scale·DYᵀ·1
type adapterBias struct {
	layer bindings.Linear
	b, db bindings.Tensor // [out, 1], and F32 its gradient; absent: frozen
}

// adapterBiases are the biases of a model's adapters and the constants that they share.
type adapterBiases struct {
	of   map[*bindings.Linear]*adapterBias // by the layer that has the adapter
	one  bindings.Tensor                   // [1, 1]: A
	zero bindings.Tensor                   // [1, most outputs]: the weights
	ones bindings.Tensor                   // [1, most tokens]: the inputs
	da   bindings.Tensor                   // F32 [1, 1]: A's gradient, which nothing reads
}

// AddBias puts a bias on the adapter of p, in arena a, and returns it: [out, 1].
func (m *Model) AddBias(p *Projection, a *bindings.Arena) bindings.Tensor {
	l := &adapterBias{b: a.New(m.info.Activation, p.Weight.Out, 1)}
	l.layer = bindings.Linear{Name: p.Name, Weight: bindings.Weight{Out: p.Weight.Out, In: 1}}
	if m.biases.of == nil {
		m.biases.of = map[*bindings.Linear]*adapterBias{}
	}
	m.biases.of[&p.Linear] = l
	return l.b
}

// plan lays out the constants for micro-batches of up to tokens tokens.
func (b *adapterBiases) plan(m *Model, tokens int) {
	if len(b.of) == 0 {
		return
	}
	a, most := m.memory.Arena(bindings.Inputs), 0
	for _, l := range b.of {
		most = max(most, l.layer.Weight.Out)
	}
	b.one, b.zero, b.ones = a.New(m.info.Activation, 1, 1), a.New(m.info.Activation, 1, most), a.New(m.info.Activation, 1, tokens)
	b.da = a.New(bindings.F32, 1, 1)
	for of, l := range b.of {
		l.layer.Weight.Dense = column(b.zero, l.layer.Weight.Out).Reshape(l.layer.Weight.Out, 1)
		l.layer.Adapter = &bindings.Adapter{A: b.one, B: l.b, Scale: of.Adapter.Scale}
	}
}

// load fills the constants.
func (b *adapterBiases) load(dev bindings.Device) error {
	if len(b.of) == 0 {
		return nil
	}
	dev.Run(&bindings.Zero{T: b.zero})
	dev.Run(&bindings.Zero{T: b.da})
	for _, t := range []bindings.Tensor{b.one, b.ones} {
		values := make([]float32, t.Len())
		for i := range values {
			values[i] = 1
		}
		if err := WriteTensor(dev, t, float32Bytes(values), bindings.F32); err != nil {
			return err
		}
	}
	return nil
}

// input returns the input of tokens tokens.
func (b *adapterBiases) input(tokens int) bindings.Tensor {
	return column(b.ones, tokens).Reshape(tokens, 1)
}

// forward adds the biases of the parts' adapters to their outputs.
func (b *adapterBiases) forward(p *pass, parts []bindings.Part) {
	for _, part := range parts {
		if l := b.of[part.Linear]; l != nil {
			p.run(&bindings.Project{X: b.input(p.tokens), Parts: []bindings.Part{{Linear: &l.layer, Y: part.Y, Residual: part.Y}}})
		}
	}
}

// backward adds to the gradients of the biases of the parts' adapters.
func (b *adapterBiases) backward(p *pass, parts []bindings.PartBackward) {
	for _, part := range parts {
		if l := b.of[part.Linear]; l != nil && !l.db.Absent() {
			x := b.input(p.tokens)
			p.run(&bindings.ProjectBackward{X: x, Parts: []bindings.PartBackward{{Linear: &l.layer, XA: x, DY: part.DY, DA: b.da, DB: l.db}}})
		}
	}
}
