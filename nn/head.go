package nn

import (
	"cmp"
	"math"

	"qlora/bindings"
)

// Head computes logits from the last layer's output:
//
//	logits = cap(Scale·(Project(Norm(x))·Wᵀ + bias))    cap(z) = Cap·tanh(z/Cap)
type Head struct {
	Name    string      // of the module: "lm_head"
	Bias    bool        //
	Norm    *Norm       // nil: none
	Project *Projection // from hidden to the embedding's features; nil: none
	Scale   float32     // 0: 1
	Cap     float32     // 0: none

	out     Projection
	adapter *HeadAdapter // nil: none
}

// Features returns the number of columns of the head's weight.
func (h *Head) Features() int { return h.out.Weight.In }

// output returns Project(Norm(x)) in arena a, and the values backward reads.
func (h *Head) output(p *pass, a *bindings.Arena, x bindings.Tensor) (y bindings.Tensor, stats normStats, normed, xa bindings.Tensor) {
	y = x
	if h.Norm != nil {
		y, stats = p.normalize(a, h.Norm, x)
	}
	if h.Project == nil {
		return y, stats, y, xa
	}
	normed = y
	y = a.New(p.m.info.Activation, x.Rows, h.Project.Weight.Out)
	if p.backward && h.Project.Adapter != nil {
		xa = a.New(p.m.info.Activation, x.Rows, h.Project.Adapter.Rank())
	}
	p.project(h.Project, normed, y, bindings.Tensor{}, xa)
	return y, stats, normed, xa
}

// A lossOf says how a head's loss counts its tokens and where results go.
type lossOf struct {
	scale float32
	// deviceScale has scale in the device's memory; absent: kernels are given the number.
	deviceScale bindings.Tensor
	weights     bindings.Tensor // of the tokens; absent: 1
	// temperature divides the logits; 0: 1.
	temperature float32
	losses      bindings.Tensor // receives the loss of each token; absent: not stored
	entropies   bindings.Tensor // receives the entropy of each token's distribution; absent: not computed
	stats       bindings.Tensor
	// weigh returns the weights of the tokens' gradients, which follow from losses; it is called
	// when these are stored. nil: weights has them.
	weigh func() bindings.Tensor
}

// loss computes the cross-entropy for x, the last layer's output. If d is present, it
// receives the gradient of x.
func (h *Head) loss(p *pass, x, d bindings.Tensor, of lossOf) {
	mark := p.work.Mark()
	y, stats, normed, xa := h.output(p, p.work, x)
	op := &bindings.HeadLoss{
		X: y, Linear: &h.out.Linear, LogitScale: h.Scale, LogitCap: h.Cap, Labels: column(p.m.inputs.labels, p.tokens), Scale: of.scale, DeviceScale: of.deviceScale,
		Smoothing: float32(p.m.Options.LabelSmoothing), Weights: of.weights, Stats: of.stats, Losses: of.losses, Entropies: of.entropies,
	}
	dy := y
	if t := of.temperature; t != 0 && t != 1 {
		op.LogitScale, op.LogitCap = cmp.Or(h.Scale, 1)/t, h.Cap/t
	}
	if !d.Absent() {
		if h.Norm == nil && h.Project == nil {
			dy = d
		}
		op.DX, op.DWeight, op.DBias = dy, h.out.DWeight, h.out.DBias
	}
	var wide headInput
	if l := h.adapter; l != nil {
		wide = l.widen(p, y)
		op.X, op.Linear = wide.x, &l.wide
		if !d.Absent() {
			op.DX, op.DWeight, op.From = wide.x, l.db, y.Cols
		}
	}
	if of.weigh == nil {
		p.run(op)
	} else {
		p.runWeighed(op, of.weigh)
	}
	if !d.Absent() {
		if h.adapter != nil {
			h.adapter.narrow(p, wide, dy)
		}
		if h.Project != nil {
			to := d
			if h.Norm != nil {
				to = p.hidden(p.work)
			}
			p.projectBackward(normed, &target{room: func() bindings.Tensor { return to }}, h.Project.back(dy, xa))
			dy = to
		}
		if h.Norm != nil {
			p.normalizeBackward(h.Norm, x, stats, dy, d, false)
		}
	}
	p.work.Release(mark)
}

// runWeighed computes a loss whose weights follow from the tokens' losses. The gradient of a row
// is linear in its weight, so it is computed with the losses, for a weight of 1, and then
// multiplied. A trained head sums rows and needs the weights within its product: it
// multiplies twice.
func (p *pass) runWeighed(op *bindings.HeadLoss, weigh func() bindings.Tensor) {
	if op.DWeight.Absent() && op.DBias.Absent() {
		p.run(op)
		p.run(&bindings.ScaleRows{X: op.DX, Factors: weigh()})
		return
	}
	losses := *op
	losses.DX, losses.DWeight, losses.DBias = bindings.Tensor{}, bindings.Tensor{}, bindings.Tensor{}
	p.run(&losses)
	op.Losses, op.Weights = bindings.Tensor{}, weigh()
	p.run(op)
}

// logits computes the logits of the rows x [n, hidden] into y, before scale and cap.
func (h *Head) logits(p *pass, x, y bindings.Tensor) {
	last, _, _, _ := h.output(p, p.work, x)
	out := h.out.Linear
	if h.adapter != nil {
		out.Adapter = &h.adapter.Adapter
	}
	p.run(&bindings.Project{X: last, Parts: []bindings.Part{{Linear: &out, Y: y}}})
}

// finish scales and caps the logits that logits computed.
func (h *Head) finish(logits []float32) {
	if h.Scale != 0 && h.Scale != 1 {
		for i := range logits {
			logits[i] *= h.Scale
		}
	}
	if h.Cap > 0 {
		for i, z := range logits {
			logits[i] = h.Cap * float32(math.Tanh(float64(z/h.Cap)))
		}
	}
}
