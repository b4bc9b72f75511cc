package nn

import "qlora/bindings"

// A Part is the function of one branch of a layer: attention, a feed-forward
// network, experts. Its last operation is a projection, which can also add the
// residual.
type Part interface {
	declare(d *declarer)
	inputs() []*Projection // those of the part's input
	projections() []*Projection
	// begin computes all but the last projection of x() into arena to and returns
	// the state for backward. It calls x at most once; the result is valid until
	// begin returns. finishes reports that finish follows, and not backward: begin may
	// leave what it needs in the workspace.
	begin(p *pass, x func() bindings.Tensor, to *bindings.Arena, finishes bool) any
	// finish runs the last projection: out = residual + part(x). It returns the
	// adapter's XA in arena to.
	finish(p *pass, state any, out, residual bindings.Tensor, to *bindings.Arena) bindings.Tensor
	// backward computes the gradient of x from dy, the gradient of part(x), into
	// dx. x is as in begin.
	backward(p *pass, state any, xa, dy bindings.Tensor, x func() bindings.Tensor, dx *target)
}

// Residual selects how a branch joins the residual stream.
type Residual uint8

// The residual forms; y is the branch's output after PostNorm, Scale and Dropout.
const (
	PreNorm    Residual = iota // out = in + y, y of Norm(in)
	NormedBase                 // out = n + y, y of n = Norm(in) (BLOOM)
	SumNorm                    // out = Norm(in + y), y of in (OPT-350M)
)

// A Branch is a part with the norms around it.
type Branch struct {
	Norm     *Norm // nil: none
	Part     Part
	PostNorm *Norm   // on the part's output; nil: none
	Scale    float32 // factor on the branch; 0: 1
	Dropout  float32 // probability on the branch
	Residual Residual

	stream uint32
}

// A Layer is a decoder layer of sequential or parallel branches.
//
//	sequential: x = x + branch(x) for each branch
//	parallel:   x + the sum of branch(x)
//
// Parallel branches may share one Norm.
type Layer struct {
	Branches []*Branch
	Parallel bool
	SumDrops bool // parallel: one dropout mask on the sum of the branches

	shard *shard // nil: the weights are all here
}

// Sequential returns a layer that runs its branches one after the other.
func Sequential(branches ...*Branch) *Layer { return &Layer{Branches: branches} }

// Parallel returns a layer whose branches read the same input.
func Parallel(branches ...*Branch) *Layer { return &Layer{Branches: branches, Parallel: true} }

func (l *Layer) declare(d *declarer) {
	for i, b := range l.Branches {
		b.stream = d.stream()
		if l.SumDrops {
			b.stream = l.Branches[0].stream
		}
		if i == 0 || b.Norm != l.Branches[i-1].Norm {
			b.Norm.declare(d)
		}
		b.Part.declare(d)
		b.PostNorm.declare(d)
	}
}

func (l *Layer) projections() []*Projection {
	var all []*Projection
	for _, b := range l.Branches {
		all = append(all, b.Part.projections()...)
	}
	return all
}

// needsOutput reports whether backward reads the part's output.
func (b *Branch) needsOutput() bool { return b.PostNorm != nil || b.Residual == SumNorm }

// trainedNorm reports whether the layer's first norm is trained.
func (l *Layer) trainedNorm() bool {
	for _, b := range l.Branches {
		if b.Norm.trained() {
			return true
		}
		if !l.Parallel {
			break
		}
	}
	return false
}

// plain reports whether the part's last projection can add the residual itself.
func (b *Branch) plain() bool { return b.PostNorm == nil && b.bare() && b.Residual != SumNorm }

// bare reports whether the branch is added without dropout and a factor.
func (b *Branch) bare() bool { return b.Dropout == 0 && (b.Scale == 0 || b.Scale == 1) }

// normalizesNext reports whether the norm behind b's part writes the input of the next branch, too.
func (b *Branch) normalizesNext(next *Branch) bool {
	return b.PostNorm != nil && b.bare() && b.Residual != SumNorm && next.Norm != nil && next.Residual == PreNorm
}

// A branchState holds what a branch computes. The Recompute policy decides which
// of it is kept until backward.
type branchState struct {
	in      bindings.Tensor // [tokens, hidden]
	raw     bindings.Tensor // [tokens, hidden]: the part's output, for PostNorm
	sum     bindings.Tensor // [tokens, hidden]: in + y, for SumNorm
	out     bindings.Tensor // [tokens, hidden]
	part    any
	xa      bindings.Tensor // of the part's last projection
	dropped bool            // recomputed in backward
	// normed is where the next branch's normalized input will lie: it is computed in one pass with out
	// if there is a norm behind this branch. Absent: it is not.
	normed bindings.Tensor
	next   *Norm
}

// forward computes the layer's output into out and returns the state for backward.
func (l *Layer) forward(p *pass, in, out bindings.Tensor) []branchState {
	states := make([]branchState, len(l.Branches))
	mark := p.work.Mark()
	var shared func() bindings.Tensor
	if l.Parallel {
		shared = p.shared(l, in)
	}
	x := in
	for i, b := range l.Branches {
		s, input := &states[i], shared
		s.in = x
		to, xaTo := p.keep, p.keep
		last := i == len(l.Branches)-1
		switch policy := p.m.Options.Recompute; {
		case !p.backward:
			to, xaTo = p.work, p.work
		case policy == RecomputeLayer:
			to, s.dropped = p.work, true
		case policy == RecomputeMLP && last:
			to, s.dropped = p.work, true
		}
		if s.dropped && (b.needsOutput() || !last && !l.Parallel) {
			xaTo = p.work // the last projection is recomputed, too
		}
		if last || l.Parallel {
			s.out = out
		}
		residual := x
		if l.Parallel && i > 0 {
			residual = out
		}
		if !l.Parallel && i > 0 && !states[i-1].normed.Absent() {
			normed := states[i-1].normed
			input = func() bindings.Tensor { return normed }
		}
		if !l.Parallel && i == len(l.Branches)-2 && b.normalizesNext(l.Branches[i+1]) {
			s.normed, s.next = out, l.Branches[i+1].Norm
		}
		b.forward(p, s, residual, input, to, xaTo)
		if !l.Parallel {
			x = s.out
		}
	}
	p.work.Release(mark)
	return states
}

// shared returns the normalized input of parallel branches that share a norm, or nil
// if they do not.
func (p *pass) shared(l *Layer, in bindings.Tensor) func() bindings.Tensor {
	n := l.Branches[0].Norm
	for _, b := range l.Branches {
		if b.Norm != n || n == nil {
			return nil
		}
	}
	x, _ := p.normalize(p.work, n, in)
	return func() bindings.Tensor { return x }
}

// inputIn returns a function that normalizes the part's input where its output will lie, unless the
// residual does.
func (b *Branch) inputIn(p *pass, s *branchState, residual bindings.Tensor) func() bindings.Tensor {
	if b.Norm == nil || b.Residual != PreNorm || residual == s.out {
		return b.input(p, s.in, nil)
	}
	return func() bindings.Tensor {
		op := p.norm(b.Norm, s.in, normStats{})
		op.Y = s.out
		p.run(op)
		return s.out
	}
}

// input returns a function that normalizes the part's input into the workspace.
func (b *Branch) input(p *pass, in bindings.Tensor, stats *normStats) func() bindings.Tensor {
	return func() bindings.Tensor {
		if b.Norm == nil || b.Residual == SumNorm {
			return in
		}
		x, s := p.normalize(p.work, b.Norm, in)
		if stats != nil {
			*stats = s
		}
		return x
	}
}

// forward computes s.out = residual + branch(s.in). It allocates s.out in arena to if
// it is absent. x, if not nil, returns the normalized input.
func (b *Branch) forward(p *pass, s *branchState, residual bindings.Tensor, x func() bindings.Tensor, to, xaTo *bindings.Arena) {
	if s.out.Absent() {
		s.out = p.hidden(to)
	}
	if x == nil {
		x = b.inputIn(p, s, residual)
	}
	mark := p.work.Mark()
	if b.Residual == NormedBase {
		residual = x()
		normed := residual
		x = func() bindings.Tensor { return normed }
	}
	s.part = b.Part.begin(p, x, to, true)
	b.join(p, s, residual, to, xaTo)
	if to != p.work {
		p.work.Release(mark)
	}
}

// join runs the last projection, norm, scale and dropout into s.out.
func (b *Branch) join(p *pass, s *branchState, residual bindings.Tensor, to, xaTo *bindings.Arena) {
	if b.plain() {
		s.xa = b.Part.finish(p, s.part, s.out, residual, xaTo)
		return
	}
	rawTo := p.work
	if b.PostNorm != nil {
		rawTo = to
	}
	if b.Residual == SumNorm {
		s.sum = p.hidden(to)
	}
	raw := p.hidden(rawTo)
	s.xa = b.Part.finish(p, s.part, raw, bindings.Tensor{}, xaTo)
	y := raw
	if b.PostNorm != nil {
		s.raw = raw
		if b.bare() && b.Residual != SumNorm {
			op := p.norm(b.PostNorm, raw, normStats{})
			op.Residual, op.Y = residual, s.out
			if !s.normed.Absent() {
				next := s.next.operation(s.out, normStats{})
				next.Y, op.Next = s.normed, &next
			}
			p.run(op)
			return
		}
		y, _ = p.normalize(p.work, b.PostNorm, raw)
	}
	add := &bindings.Add{X: y, Residual: residual, Y: s.out, Scale: b.Scale, Dropout: b.Dropout, Stream: b.stream, Random: p.random}
	if b.Residual == SumNorm {
		add.Y = s.sum
	}
	p.run(add)
	if b.Residual == SumNorm {
		op := p.norm(b.Norm, s.sum, normStats{})
		op.Y = s.out
		p.run(op)
	}
}
