package nn

import "qlora/bindings"

// MLP is a feed-forward network: Down(f(Up(x))), or gated (Shazeer 2020)
// Down(f(Gate(x))·Up(x)).
type MLP struct {
	Activation bindings.Activation
	Size       int // intermediate features

	Gate, Up *Projection // nil Gate: not gated
	GateUp   *Projection // fused, gate's rows first; nil: separate
	Down     *Projection
}

func (m *MLP) inputs() []*Projection {
	switch {
	case m.GateUp != nil:
		return []*Projection{m.GateUp}
	case m.Gate != nil:
		return []*Projection{m.Gate, m.Up}
	}
	return []*Projection{m.Up}
}

func (m *MLP) projections() []*Projection { return append(m.inputs(), m.Down) }

func (m *MLP) declare(d *declarer) {
	for _, l := range m.projections() {
		d.projection(l)
	}
}

// mlpState holds what backward reads: the outputs of the first projections.
type mlpState struct {
	g, u bindings.Tensor    // [tokens, Size]; u is absent if not gated
	y    bindings.Tensor    // f(g)·u, if begin has computed it
	outs [2]bindings.Tensor // of inputs, [tokens, rows]
	xa   [2]bindings.Tensor
}

func (m *MLP) begin(p *pass, x func() bindings.Tensor, to *bindings.Arena, finishes bool) any {
	s := &mlpState{}
	inputs := m.inputs()
	for i, l := range inputs {
		s.outs[i] = p.features(to, l.Weight.Out)
	}
	p.xas(s.xa[:len(inputs)], to, inputs)
	switch {
	case m.GateUp != nil:
		s.g, s.u = s.outs[0].Columns(0, m.Size), s.outs[0].Columns(m.Size, 2*m.Size)
	default:
		s.g, s.u = s.outs[0], s.outs[1]
	}
	var after *bindings.Activate
	if finishes && !s.u.Absent() {
		after = m.activation(p, s)
		s.y = after.Y
	}
	mark := p.work.Mark()
	in := x()
	var parts [2]bindings.Part
	for i, l := range inputs {
		parts[i] = l.part(s.outs[i], s.xa[i])
	}
	p.projectActivated(in, after, parts[:len(inputs)]...)
	p.work.Release(mark)
	return s
}

// activation returns the operation that computes f(g)·u in the workspace.
func (m *MLP) activation(p *pass, s *mlpState) *bindings.Activate {
	return set(&p.ops.activate, bindings.Activate{Kind: m.Activation, G: s.g, U: s.u, Y: p.features(p.work, m.Size)})
}

// activated returns f(g)·u in the workspace.
func (m *MLP) activated(p *pass, s *mlpState) bindings.Tensor {
	op := m.activation(p, s)
	p.run(op)
	return op.Y
}

func (m *MLP) finish(p *pass, state any, out, residual bindings.Tensor, to *bindings.Arena) bindings.Tensor {
	xa := p.xa(to, m.Down)
	s := state.(*mlpState)
	y := s.y
	if y.Absent() {
		y = m.activated(p, s)
	}
	p.project(m.Down, y, out, residual, xa)
	return xa
}

func (m *MLP) backward(p *pass, state any, xa, dy bindings.Tensor, x func() bindings.Tensor, dx *target) {
	s := state.(*mlpState)
	mark := p.work.Mark()
	dh := p.features(p.work, m.Size)
	to := &target{room: func() bindings.Tensor { return dh }}
	// The gradients overwrite g and u: nothing reads them after this.
	to.after = func(dh, again bindings.Tensor) bindings.Operation {
		return set(&p.ops.activateBackward, bindings.ActivateBackward{
			Activate: bindings.Activate{Kind: m.Activation, G: s.g, U: s.u}, DY: dh, DG: s.g, DU: s.u, Again: again,
		})
	}
	p.projectBackwardOf(func() bindings.Tensor { return m.activated(p, s) }, to, m.Down.back(dy, xa))
	if !to.followed {
		p.run(to.after(dh, bindings.Tensor{}))
	}
	p.work.Release(mark)
	var parts [2]bindings.PartBackward
	inputs := m.inputs()
	for i, l := range inputs {
		parts[i] = l.back(s.outs[i], s.xa[i])
	}
	p.projectBackwardOf(x, dx, parts[:len(inputs)]...)
}
