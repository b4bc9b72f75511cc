package nn

import "qlora/bindings"

// A HeadAdapter is an adapter on the output head. The head's loss knows no adapters: it
// has the weight [W B] and the input [x s·dropout(x)·Aᵀ], so that its product is
//
//	x·Wᵀ + s·dropout(x)·Aᵀ·Bᵀ
type HeadAdapter struct {
	bindings.Adapter

	down Projection      // A as a linear layer
	wide bindings.Linear // with the weight [W B 0], [vocabulary, in + room]; absent without a loss
	db   bindings.Tensor // F32, like B; absent: frozen
}

// headRoom is the multiple to which the columns beside W are rounded up.
const headRoom = 16

// AdaptHead puts an adapter of rank r on the head, in arena a.
func (m *Model) AdaptHead(a *bindings.Arena, r int, scale, dropout float32, stream uint32) *HeadAdapter {
	h, dtype := &m.Head, m.info.Activation
	w := &h.out.Weight
	l := &HeadAdapter{Adapter: bindings.Adapter{A: a.New(dtype, r, w.In), B: a.New(dtype, w.Out, r), Scale: scale, Dropout: dropout, Stream: stream}}
	l.down.Name, l.down.Weight = h.Name, bindings.Weight{Out: r, In: w.In, Dense: l.A}
	l.wide = bindings.Linear{Name: h.Name, Weight: bindings.Weight{Out: w.Out, In: w.In + (r+headRoom-1)/headRoom*headRoom}, Bias: h.out.Bias}
	h.adapter = l
	return l
}

// parameters lays out the adapter's parameters.
func (l *HeadAdapter) parameters(m *Model, state bindings.OptimizerState) []bindings.Param {
	first := m.parameter(m.Head.Name+".lora_A.weight", l.A, bindings.RoleLoraA, state)
	second := m.parameter(m.Head.Name+".lora_B.weight", l.B, bindings.RoleLoraB, state)
	l.down.DWeight, l.db = first.Grad, second.Grad
	return []bindings.Param{first, second}
}

// planWideHeads lays out the weights for the loss. The adapters of a reference model have the
// one of the model's own if it is as wide, and B is copied into it in turns.
func (m *Model) planWideHeads() {
	own := m.Head.adapter
	if own != nil {
		own.plan(m, bindings.Weights16Bit)
	}
	for _, o := range m.overlays {
		switch l := o.head; {
		case l == nil:
		case own != nil && own.wide.Weight.In == l.wide.Weight.In:
			l.wide.Weight.Dense = own.wide.Weight.Dense
		default:
			l.plan(m, bindings.Reference)
		}
	}
}

func (l *HeadAdapter) plan(m *Model, c bindings.Category) {
	w := &l.wide.Weight
	w.Dense = m.memory.Arena(c).New(m.info.Activation, w.Out, w.In)
}

// load fills the weight for the loss, but for B.
func (l *HeadAdapter) load(dev bindings.Device, w bindings.Tensor) {
	if l == nil || l.wide.Weight.Dense.Absent() {
		return
	}
	dev.Run(&bindings.Zero{T: l.wide.Weight.Dense})
	dev.Run(&bindings.Copy{Dst: l.wide.Weight.Dense.Columns(0, w.Cols), Src: w})
}

// derive copies B into the weight for the loss.
func (l *HeadAdapter) derive(dev bindings.Device) {
	if l == nil || l.wide.Weight.Dense.Absent() {
		return
	}
	in := l.A.Cols
	dev.Run(&bindings.Copy{Dst: l.wide.Weight.Dense.Columns(in, in+l.Rank()), Src: l.B})
}

// A headInput is the input of a head with an adapter.
type headInput struct {
	x    bindings.Tensor // [y s·dropped·Aᵀ 0]
	drop bindings.Tensor // dropout(y)
}

// widen returns the input of the loss for y [tokens, in], in the workspace.
func (l *HeadAdapter) widen(p *pass, y bindings.Tensor) headInput {
	in, r := y.Cols, l.Rank()
	s := headInput{x: p.features(p.work, l.wide.Weight.In), drop: y}
	if l.Dropout > 0 {
		s.drop = p.features(p.work, in)
		p.run(&bindings.Add{X: y, Y: s.drop, Dropout: l.Dropout, Stream: l.Stream, Random: p.random})
	}
	p.run(&bindings.Zero{T: s.x})
	p.run(&bindings.Copy{Dst: s.x.Columns(0, in), Src: y})
	if l.Scale == 0 {
		return s
	}
	mark := p.work.Mark()
	xa := p.features(p.work, r)
	p.run(&bindings.Project{X: s.drop, Parts: []bindings.Part{l.down.part(xa, bindings.Tensor{})}})
	p.run(&bindings.Add{X: xa, Y: xa, Scale: l.Scale})
	p.run(&bindings.Copy{Dst: s.x.Columns(in, in+r), Src: xa})
	p.work.Release(mark)
	return s
}

// narrow writes the gradient of y to dy, which may be y, from that of the loss's input,
// which is in s.x, and adds to the gradient of A.
func (l *HeadAdapter) narrow(p *pass, s headInput, dy bindings.Tensor) {
	in, r := dy.Cols, l.Rank()
	mark := p.work.Mark()
	dropped := p.features(p.work, in)
	if l.Scale != 0 {
		dxa := p.features(p.work, r)
		p.run(&bindings.Copy{Dst: dxa, Src: s.x.Columns(in, in+r)})
		p.run(&bindings.Add{X: dxa, Y: dxa, Scale: l.Scale})
		p.projectBackward(s.drop, &target{room: func() bindings.Tensor { return dropped }}, l.down.back(dxa, bindings.Tensor{}))
		if l.Dropout > 0 {
			p.run(&bindings.AddBackward{DY: dropped, DX: dropped, Dropout: l.Dropout, Stream: l.Stream, Random: p.random})
		}
	}
	p.run(&bindings.Copy{Dst: dy, Src: s.x.Columns(0, in)})
	if l.Scale != 0 {
		p.run(&bindings.Add{X: dropped, Residual: dy, Y: dy})
	}
	p.work.Release(mark)
}
