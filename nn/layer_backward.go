package nn

import "qlora/bindings"

// backward replaces d, the gradient of the layer's output [tokens, hidden], by the
// gradient of its input. Without wantInput it skips the input's gradient: nothing
// below the layer is trained.
func (l *Layer) backward(p *pass, states []branchState, d bindings.Tensor, wantInput bool) {
	mark := p.work.Mark()
	if l.Parallel {
		l.backwardParallel(p, states, d, wantInput)
	} else {
		l.backwardSequential(p, states, d, wantInput)
	}
	p.work.Release(mark)
}

func (l *Layer) backwardSequential(p *pass, states []branchState, d bindings.Tensor, wantInput bool) {
	last := len(states) - 1
	for i := range last {
		s := &states[i]
		if s.dropped {
			s.out = bindings.Tensor{}
			l.Branches[i].forward(p, s, s.in, nil, p.work, p.work)
			s.dropped = false
		}
		states[i+1].in = s.out
	}
	for i := last; i >= 0; i-- {
		mark := p.work.Mark()
		l.Branches[i].backward(p, &states[i], d, i > 0 || wantInput)
		p.work.Release(mark)
	}
}

// backward replaces d, the gradient of out = in + branch(in), by the gradient of in.
func (b *Branch) backward(p *pass, s *branchState, d bindings.Tensor, wantInput bool) {
	var stats normStats
	x := b.input(p, s.in, &stats)
	b.again(p, s)
	dy := b.backwardJoin(p, s, d)
	if !wantInput {
		b.Part.backward(p, s.part, s.xa, dy, x, nil)
		return
	}
	if b.Norm == nil || b.Residual != PreNorm {
		b.Part.backward(p, s.part, s.xa, dy, x, &target{room: func() bindings.Tensor { return d }, accumulate: true})
		if b.Residual == NormedBase {
			p.normalizeBackward(b.Norm, s.in, stats, d, d, false)
		}
		return
	}
	var dx bindings.Tensor
	b.Part.backward(p, s.part, s.xa, dy, x, &target{room: func() bindings.Tensor {
		dx = p.hidden(p.work)
		return dx
	}})
	p.normalizeBackward(b.Norm, s.in, stats, dx, d, true)
}

// again recomputes what was not kept.
func (b *Branch) again(p *pass, s *branchState) {
	switch {
	case !s.dropped:
	case b.needsOutput():
		s.out = bindings.Tensor{}
		b.forward(p, s, s.in, nil, p.work, p.work)
	default:
		s.part = b.Part.begin(p, b.input(p, s.in, nil), p.work)
	}
	s.dropped = false
}

// backwardJoin returns the gradient of the part's output. With SumNorm it replaces d
// by the gradient of in + y.
func (b *Branch) backwardJoin(p *pass, s *branchState, d bindings.Tensor) bindings.Tensor {
	if b.plain() {
		return d
	}
	if b.Residual == SumNorm {
		_, stats := p.normalize(p.work, b.Norm, s.sum)
		p.normalizeBackward(b.Norm, s.sum, stats, d, d, false)
	}
	dy := p.hidden(p.work)
	p.run(&bindings.AddBackward{DY: d, DX: dy, Scale: b.Scale, Dropout: b.Dropout, Stream: b.stream, Random: p.random})
	if b.PostNorm != nil {
		_, stats := p.normalize(p.work, b.PostNorm, s.raw)
		p.normalizeBackward(b.PostNorm, s.raw, stats, dy, dy, false)
	}
	return dy
}

// backwardParallel runs every part's backward on d before it adds their input
// gradients to d.
func (l *Layer) backwardParallel(p *pass, states []branchState, d bindings.Tensor, wantInput bool) {
	type pending struct {
		norm  *Norm
		stats normStats
		dx    bindings.Tensor
	}
	var open []pending
	for i := len(l.Branches) - 1; i >= 0; i-- {
		b, s := l.Branches[i], &states[i]
		var to *target
		if wantInput {
			if n := len(open); n > 0 && open[n-1].norm == b.Norm {
				dx := open[n-1].dx
				to = &target{room: func() bindings.Tensor { return dx }, accumulate: true}
			} else {
				dx := p.hidden(p.work)
				open = append(open, pending{norm: b.Norm, dx: dx, stats: newStats(p.work, b.Norm, p.tokens)})
				to = &target{room: func() bindings.Tensor { return dx }}
			}
		}
		mark := p.work.Mark()
		b.again(p, s)
		dy := b.backwardJoin(p, s, d)
		var stats normStats
		if wantInput {
			stats = open[len(open)-1].stats
		}
		b.Part.backward(p, s.part, s.xa, dy, func() bindings.Tensor { return p.normalizeInto(b.Norm, s.in, stats) }, to)
		p.work.Release(mark)
	}
	for _, o := range open {
		p.normalizeBackward(o.norm, states[0].in, o.stats, o.dx, d, true)
	}
}
