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
			s.out, s.normed = bindings.Tensor{}, bindings.Tensor{}
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
	to := &target{room: func() bindings.Tensor {
		dx = p.hidden(p.work)
		return dx
	}}
	if !b.Norm.trained() {
		to.after = func(dx, again bindings.Tensor) bindings.Operation {
			return set(&p.ops.normBackward, bindings.NormBackward{
				Norm: b.Norm.operation(s.in, normStats{}), DY: dx, DX: d, Accumulate: true, Again: again,
			})
		}
	}
	b.Part.backward(p, s.part, s.xa, dy, x, to)
	if !to.followed {
		p.normalizeBackward(b.Norm, s.in, stats, dx, d, true)
	}
}

// again recomputes what was not kept.
func (b *Branch) again(p *pass, s *branchState) {
	switch {
	case !s.dropped:
	case b.needsOutput():
		s.out, s.normed = bindings.Tensor{}, bindings.Tensor{}
		b.forward(p, s, s.in, nil, p.work, p.work)
	default:
		s.part = b.Part.begin(p, b.input(p, s.in, nil), p.work, false)
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
		p.normalizeBackward(b.Norm, s.sum, p.statsIfTrained(b.Norm, s.sum), d, d, false)
	}
	if b.PostNorm == nil && b.bare() {
		return d
	}
	dy, of := p.hidden(p.work), d
	if !b.bare() {
		p.run(&bindings.AddBackward{DY: d, DX: dy, Scale: b.Scale, Dropout: b.Dropout, Stream: b.stream, Random: p.random})
		of = dy
	}
	if b.PostNorm != nil {
		p.normalizeBackward(b.PostNorm, s.raw, p.statsIfTrained(b.PostNorm, s.raw), of, dy, false)
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
		x     bindings.Tensor // the norm's output, for the other branches that share it
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
				if i > 0 && l.Branches[i-1].Norm == b.Norm {
					open[len(open)-1].x = p.normalizeInto(b.Norm, s.in, open[len(open)-1].stats)
				}
			}
		}
		mark := p.work.Mark()
		b.again(p, s)
		dy := b.backwardJoin(p, s, d)
		var at pending
		if wantInput {
			at = open[len(open)-1]
		}
		x := func() bindings.Tensor {
			if !at.x.Absent() {
				return at.x
			}
			return p.normalizeInto(b.Norm, s.in, at.stats)
		}
		b.Part.backward(p, s.part, s.xa, dy, x, to)
		p.work.Release(mark)
	}
	for _, o := range open {
		p.normalizeBackward(o.norm, states[0].in, o.stats, o.dx, d, true)
	}
}
