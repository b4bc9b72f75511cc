package nn

import "qlora/bindings"

// A pass is one micro-batch on its way through the model: in training, evaluation
// or generation.
type pass struct {
	m         *Model
	dev       bindings.Device
	tokens    int
	longest   int // tokens of the longest sequence, with what a cache has of it
	positions bindings.Tensor
	sequences bindings.Sequences
	random    bindings.Random
	keep      *bindings.Arena // what lives until backward
	work      *bindings.Arena // what lives within a layer
	backward  bool            // whether a backward follows
	cache     *cache          // keys and values of earlier passes; nil: none
}

func (p *pass) run(op bindings.Operation) { p.dev.Run(op) }

// hidden returns room for [tokens, hidden].
func (p *pass) hidden(a *bindings.Arena) bindings.Tensor { return p.features(a, p.m.Config.Hidden) }

// features returns room for [tokens, n].
func (p *pass) features(a *bindings.Arena, n int) bindings.Tensor {
	return a.New(p.m.info.Activation, p.tokens, n)
}

// xa returns room for an adapter's dropout(x)·Aᵀ; absent where no backward needs it.
func (p *pass) xa(a *bindings.Arena, l *Projection) bindings.Tensor {
	if l.Adapter == nil || !p.backward {
		return bindings.Tensor{}
	}
	return p.features(a, l.Adapter.Rank())
}

// project runs one projection: y = residual + l(x).
func (p *pass) project(l *Projection, x, y, residual, xa bindings.Tensor) {
	part := l.part(y, xa)
	part.Residual = residual
	p.run(&bindings.Project{X: x, Random: p.random, Parts: []bindings.Part{part}})
}

// A target is where the gradient of an input goes. nil: nowhere.
type target struct {
	room       func() bindings.Tensor
	accumulate bool
}

// tensor returns the target's room; absent where there is no target.
func (t *target) tensor() (dx bindings.Tensor, accumulate bool) {
	if t == nil {
		return bindings.Tensor{}, false
	}
	return t.room(), t.accumulate
}

// projectBackward runs the backward of projections of one input x.
func (p *pass) projectBackward(x bindings.Tensor, to *target, parts ...bindings.PartBackward) {
	dx, accumulate := to.tensor()
	p.run(&bindings.ProjectBackward{X: x, Random: p.random, DX: dx, Accumulate: accumulate, Parts: parts})
}
