package nn

import (
	"slices"

	"qlora/bindings"
)

// A pass is one micro-batch in training, evaluation or generation.
type pass struct {
	m         *Model
	dev       bindings.Device
	tokens    int // rows
	longest   int // tokens of the longest sequence, including cached ones
	positions bindings.Tensor
	sequences bindings.Sequences // of rows
	counted   bindings.Sequences // of rows: the micro-batch's own, the last with what fills it up; empty: not needed
	keys      bindings.Sequences // of keys; those of rows, unless beginnings are shared
	gathered  keyGather
	random    bindings.Random
	scale     bindings.Tensor // the loss's, in the device's memory; absent: only the number
	bound     bindings.Tensor // of NEFTune's noise, likewise
	keep      *bindings.Arena // tensors kept until backward
	work      *bindings.Arena // tensors used within one layer
	backward  bool            // a backward follows
	cache     *cache          // keys and values of generated sequences; nil: none
	ops       operations
}

func (p *pass) run(op bindings.Operation) { p.dev.Run(op) }

// hidden allocates [tokens, hidden] in arena a.
func (p *pass) hidden(a *bindings.Arena) bindings.Tensor { return p.features(a, p.m.Config.Hidden) }

// features allocates [tokens, n] in arena a.
func (p *pass) features(a *bindings.Arena, n int) bindings.Tensor {
	return a.New(p.m.info.Activation, p.tokens, n)
}

// xa allocates an adapter's dropout(x)·Aᵀ in arena a; absent if no backward reads it.
func (p *pass) xa(a *bindings.Arena, l *Projection) bindings.Tensor {
	if l.Adapter == nil || !p.backward {
		return bindings.Tensor{}
	}
	return p.features(a, l.Adapter.Rank())
}

// xas puts into all what xa allocates for projections of one input, as columns of one matrix.
func (p *pass) xas(all []bindings.Tensor, a *bindings.Arena, of []*Projection) {
	ranks := 0
	for _, l := range of {
		if l.Adapter == nil {
			continue
		}
		if l.Adapter.Rank()%stackedColumns != 0 {
			for i, l := range of {
				all[i] = p.xa(a, l)
			}
			return
		}
		ranks += l.Adapter.Rank()
	}
	if ranks == 0 || !p.backward {
		return
	}
	row, from := p.features(a, ranks), 0
	for i, l := range of {
		if l.Adapter != nil {
			all[i] = row.Columns(from, from+l.Adapter.Rank())
			from += l.Adapter.Rank()
		}
	}
}

// stackedColumns divides the columns of matrices that are put next to or behind each other: their
// rows then start at whole vectors of 16 bytes, as devices read them.
const stackedColumns = 8

// project computes y = residual + l(x).
func (p *pass) project(l *Projection, x, y, residual, xa bindings.Tensor) {
	part := l.part(y, xa)
	part.Residual = residual
	p.projectAll(x, part)
}

// projectAll runs the projections of one input x.
func (p *pass) projectAll(x bindings.Tensor, parts ...bindings.Part) {
	p.projectActivated(x, nil, parts...)
}

// projectActivated also runs an activation of their results, if it is not nil.
func (p *pass) projectActivated(x bindings.Tensor, after *bindings.Activate, parts ...bindings.Part) {
	op := &p.ops.project
	*op = bindings.Project{X: x, Random: p.random, Whole: p.m.Options.Whole, Parts: append(op.Parts[:0], parts...)}
	if p.m.biases.of == nil {
		op.After, after = after, nil
	}
	p.run(op)
	p.m.biases.forward(p, op.Parts)
	if after != nil {
		p.run(after)
	}
}

// A target receives the gradient of an input. A nil target discards it.
type target struct {
	room       func() bindings.Tensor
	accumulate bool

	// after, if not nil, returns the backward of the operation that computed the input. It
	// reads the input's gradient dx, and writes the input again if again is present.
	after    func(dx, again bindings.Tensor) bindings.Operation
	followed bool // after has run
}

// tensor returns the target's tensor; absent for a nil target.
func (t *target) tensor() (dx bindings.Tensor, accumulate bool) {
	if t == nil {
		return bindings.Tensor{}, false
	}
	return t.room(), t.accumulate
}

// projectBackwardOf runs the backward of all projections of one input. It lets after compute the
// input from its gradient's place if it can, else x does.
func (p *pass) projectBackwardOf(x func() bindings.Tensor, to *target, parts ...bindings.PartBackward) {
	if to == nil || to.after == nil || slices.ContainsFunc(parts, isDecomposed) {
		p.projectBackward(x(), to, parts...)
		return
	}
	dx := to.room()
	var again bindings.Tensor
	if slices.ContainsFunc(parts, readsInput) {
		again = dx
	}
	p.backwardOf(bindings.ProjectBackward{X: dx, DX: dx, After: to.after(dx, again)}, parts)
	to.followed = true
}

func isDecomposed(p bindings.PartBackward) bool {
	return p.Linear.Adapter != nil && !p.Linear.Adapter.Magnitude.Absent()
}

// readsInput reports whether a gradient of p is a product with its input.
func readsInput(p bindings.PartBackward) bool { return !p.DA.Absent() || !p.DWeight.Absent() }

// projectBackward runs the backward of all projections of one input x.
func (p *pass) projectBackward(x bindings.Tensor, to *target, parts ...bindings.PartBackward) {
	dx, accumulate := to.tensor()
	p.backwardOf(bindings.ProjectBackward{X: x, DX: dx, Accumulate: accumulate}, parts)
}

// backwardOf runs the backward of parts.
func (p *pass) backwardOf(op bindings.ProjectBackward, parts []bindings.PartBackward) {
	kept := p.ops.projectBackward.Parts[:0] // the memory of the operation before
	kept = append(kept, parts...)
	op.Random, op.Whole, op.Parts = p.random, p.m.Options.Whole, kept
	p.run(set(&p.ops.projectBackward, op))
	p.m.biases.backward(p, kept)
}
