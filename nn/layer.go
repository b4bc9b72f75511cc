package nn

import (
	"math"

	"qlora/bindings"
)

// layer is one decoder layer (Touvron et al. 2023):
//
//	mid = in  + o(attention(q, k, v of norm(in)))
//	out = mid + down(silu(gate(x))·up(x)), x = norm(mid)
type layer struct {
	inputNorm, postNorm normWeight
	q, k, v, o          Projection
	qNorm, kNorm        normWeight // with Config.QKNorm
	gate, up, down      Projection
	window              int
}

// activations are what one layer computes. Which of them live until backward is
// the Recompute policy's choice.
type activations struct {
	in             bindings.Tensor // [tokens, hidden]
	qRaw, kRaw     bindings.Tensor // before the heads' norms; absent without them
	qInv, kInv     bindings.Tensor
	q, k, v        bindings.Tensor // rotated: [tokens, heads·head_dim]
	attended       bindings.Tensor // [tokens, heads·head_dim]
	lse            bindings.Tensor // F32 [tokens, heads]
	mid            bindings.Tensor // [tokens, hidden]
	gate, up       bindings.Tensor // [tokens, intermediate]
	lowQ, lowK     bindings.Tensor // adapters' [tokens, r]
	lowV, lowO     bindings.Tensor
	lowGate, lowUp bindings.Tensor
	lowDown        bindings.Tensor
}

// A pass is one micro-batch on its way through the model.
type pass struct {
	m         *Model
	dev       bindings.Device
	tokens    int
	positions bindings.Tensor
	sequences bindings.Sequences
	random    bindings.Random
	keep      *bindings.Arena // what lives until backward
	work      *bindings.Arena // what lives within a layer
	backward  bool            // whether a backward follows
}

func (p *pass) hidden(a *bindings.Arena) bindings.Tensor {
	return a.New(p.m.info.Activation, p.tokens, p.m.Config.Hidden)
}

func (p *pass) features(a *bindings.Arena, n int) bindings.Tensor {
	return a.New(p.m.info.Activation, p.tokens, n)
}

// low is room for an adapter's dropout(x)·Aᵀ; absent where no backward needs it.
func (p *pass) low(a *bindings.Arena, l *Projection) bindings.Tensor {
	if l.Adapter == nil || !p.backward {
		return bindings.Tensor{}
	}
	return p.features(a, l.Adapter.Rank())
}

// normalize is y = RMSNorm(x) of each row.
func (p *pass) normalize(a *bindings.Arena, n *normWeight, x bindings.Tensor) (y, inv bindings.Tensor) {
	y = a.New(p.m.info.Activation, x.Rows, x.Cols)
	inv = a.New(bindings.F32, 1, x.Rows)
	p.dev.Norm(&bindings.Norm{X: x, Weight: n.weight, Eps: p.m.Config.NormEps, Y: y, InvRMS: inv})
	return y, inv
}

// normalizeHeads is normalize of each head of x [tokens, heads·head_dim].
func (p *pass) normalizeHeads(a *bindings.Arena, n *normWeight, x bindings.Tensor, heads int) (y, inv bindings.Tensor) {
	d := p.m.Config.HeadDim
	y, inv = p.normalize(a, n, x.Reshape(p.tokens*heads, d))
	return y.Reshape(p.tokens, heads*d), inv
}

func (p *pass) rotate(x bindings.Tensor, heads int, inverse bool) {
	p.dev.Rotate(&bindings.Rotate{
		X: x, Heads: heads, HeadDim: p.m.Config.HeadDim, Positions: p.positions,
		Cos: p.m.inputs.cos, Sin: p.m.inputs.sin, Inverse: inverse,
	})
}

func (p *pass) attention(l *layer, a *activations) *bindings.Attend {
	c := p.m.Config
	return &bindings.Attend{
		Q: a.q, K: a.k, V: a.v, O: a.attended, LSE: a.lse, Queries: p.sequences, Keys: p.sequences,
		Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Window: l.window,
	}
}

// queryKeyValue fills a.q, a.k and a.v, rotated, in arena to.
func (l *layer) queryKeyValue(p *pass, a *activations, to *bindings.Arena) {
	c := p.m.Config
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	a.q, a.k, a.v = p.features(to, q), p.features(to, kv), p.features(to, kv)
	a.lowQ, a.lowK, a.lowV = p.low(to, &l.q), p.low(to, &l.k), p.low(to, &l.v)
	if c.QKNorm {
		a.qRaw, a.kRaw = a.q, a.k
	}
	mark := p.work.Mark()
	x, _ := p.normalize(p.work, &l.inputNorm, a.in)
	p.dev.Project(&bindings.Project{X: x, Random: p.random, Parts: []bindings.Part{
		{Linear: &l.q.Linear, Y: a.q, Low: a.lowQ},
		{Linear: &l.k.Linear, Y: a.k, Low: a.lowK},
		{Linear: &l.v.Linear, Y: a.v, Low: a.lowV},
	}})
	p.work.Release(mark)
	if c.QKNorm {
		a.q, a.qInv = p.normalizeHeads(to, &l.qNorm, a.qRaw, c.Heads)
		a.k, a.kInv = p.normalizeHeads(to, &l.kNorm, a.kRaw, c.KVHeads)
	}
	p.rotate(a.q, c.Heads, false)
	p.rotate(a.k, c.KVHeads, false)
}

// attend fills a.attended.
func (l *layer) attend(p *pass, a *activations, to *bindings.Arena) {
	c := p.m.Config
	a.attended = p.features(to, c.Heads*c.HeadDim)
	if p.backward {
		a.lse = to.New(bindings.F32, p.tokens, c.Heads)
	}
	p.dev.Attend(p.attention(l, a))
}

// output fills a.mid.
func (l *layer) output(p *pass, a *activations, to *bindings.Arena) {
	a.mid, a.lowO = p.hidden(to), p.low(to, &l.o)
	p.dev.Project(&bindings.Project{X: a.attended, Random: p.random, Parts: []bindings.Part{
		{Linear: &l.o.Linear, Y: a.mid, Residual: a.in, Low: a.lowO},
	}})
}

// gateUp fills a.gate and a.up.
func (l *layer) gateUp(p *pass, a *activations, to *bindings.Arena) {
	n := p.m.Config.Intermediate
	a.gate, a.up = p.features(to, n), p.features(to, n)
	a.lowGate, a.lowUp = p.low(to, &l.gate), p.low(to, &l.up)
	mark := p.work.Mark()
	x, _ := p.normalize(p.work, &l.postNorm, a.mid)
	p.dev.Project(&bindings.Project{X: x, Random: p.random, Parts: []bindings.Part{
		{Linear: &l.gate.Linear, Y: a.gate, Low: a.lowGate},
		{Linear: &l.up.Linear, Y: a.up, Low: a.lowUp},
	}})
	p.work.Release(mark)
}

// mlp computes the layer's output into out.
func (l *layer) mlp(p *pass, a *activations, out bindings.Tensor, to *bindings.Arena) {
	l.gateUp(p, a, to)
	p.dev.Project(&bindings.Project{X: l.activated(p, a), Random: p.random, Parts: []bindings.Part{
		{Linear: &l.down.Linear, Y: out, Residual: a.mid, Low: a.lowDown},
	}})
}

// activated is silu(gate)·up, in workspace.
func (l *layer) activated(p *pass, a *activations) bindings.Tensor {
	y := p.features(p.work, p.m.Config.Intermediate)
	p.dev.Gate(&bindings.Gate{G: a.gate, U: a.up, Y: y})
	return y
}

// forward computes the layer's output into out and keeps in a what backward
// will read.
func (l *layer) forward(p *pass, a *activations, out bindings.Tensor) {
	attention, mlp := p.keep, p.keep
	if policy := p.m.Options.Recompute; !p.backward || policy == RecomputeLayer {
		attention, mlp = p.work, p.work
	} else if policy == RecomputeMLP {
		mlp = p.work
	}
	mark := p.work.Mark()
	if p.backward {
		a.lowDown = p.low(p.keep, &l.down)
	}
	l.queryKeyValue(p, a, attention)
	l.attend(p, a, attention)
	l.output(p, a, attention)
	l.mlp(p, a, out, mlp)
	p.work.Release(mark)
}

// backward turns d, the gradient of the layer's output [tokens, hidden], into
// that of its input, in place. The input's gradient is left out for the first
// layer where neither the embedding nor that layer's first norm is trained.
func (l *layer) backward(p *pass, a *activations, d bindings.Tensor, wantInput bool) {
	mark := p.work.Mark()
	if p.m.Options.Recompute == RecomputeLayer {
		l.queryKeyValue(p, a, p.work)
		l.attend(p, a, p.work)
		l.output(p, a, p.work)
	}
	inner := p.work.Mark()
	l.backwardMLP(p, a, d)
	p.work.Release(inner)
	l.backwardAttention(p, a, d, wantInput)
	p.work.Release(mark)
}

func (l *layer) backwardMLP(p *pass, a *activations, d bindings.Tensor) {
	if p.m.Options.Recompute != RecomputeNone {
		l.gateUp(p, a, p.work)
	}
	inner := p.work.Mark()
	dy := p.features(p.work, p.m.Config.Intermediate)
	y := l.activated(p, a)
	p.dev.ProjectBackward(&bindings.Project{X: y, Random: p.random, DX: dy, Parts: []bindings.Part{
		l.down.part(d, a.lowDown),
	}})
	// Gate and up are read for the last time here: their gradients replace them.
	p.dev.GateBackward(&bindings.Gate{G: a.gate, U: a.up, DY: dy, DG: a.gate, DU: a.up})
	p.work.Release(inner)

	x, inv := p.normalize(p.work, &l.postNorm, a.mid)
	dx := p.hidden(p.work)
	p.dev.ProjectBackward(&bindings.Project{X: x, Random: p.random, DX: dx, Parts: []bindings.Part{
		l.gate.part(a.gate, a.lowGate),
		l.up.part(a.up, a.lowUp),
	}})
	p.normBackward(&l.postNorm, a.mid, inv, dx, d, true)
}

func (l *layer) backwardAttention(p *pass, a *activations, d bindings.Tensor, wantInput bool) {
	c := p.m.Config
	op := p.attention(l, a)
	op.DO = p.features(p.work, c.Heads*c.HeadDim)
	p.dev.ProjectBackward(&bindings.Project{X: a.attended, Random: p.random, DX: op.DO, Parts: []bindings.Part{
		l.o.part(d, a.lowO),
	}})
	op.DQ, op.DK, op.DV = op.DO, p.features(p.work, c.KVHeads*c.HeadDim), p.features(p.work, c.KVHeads*c.HeadDim)
	p.dev.AttendBackward(op)
	p.rotate(op.DQ, c.Heads, true)
	p.rotate(op.DK, c.KVHeads, true)
	if c.QKNorm {
		p.headsBackward(&l.qNorm, a.qRaw, a.qInv, op.DQ, c.Heads)
		p.headsBackward(&l.kNorm, a.kRaw, a.kInv, op.DK, c.KVHeads)
	}
	x, inv := p.normalize(p.work, &l.inputNorm, a.in)
	var dx bindings.Tensor
	if wantInput {
		dx = p.hidden(p.work)
	}
	p.dev.ProjectBackward(&bindings.Project{X: x, Random: p.random, DX: dx, Parts: []bindings.Part{
		l.q.part(op.DQ, a.lowQ),
		l.k.part(op.DK, a.lowK),
		l.v.part(op.DV, a.lowV),
	}})
	if wantInput {
		p.normBackward(&l.inputNorm, a.in, inv, dx, d, true)
	}
}

// part is the projection's side of a backward: the gradient dy of its output,
// and where what is trained collects its own.
func (l *Projection) part(dy, low bindings.Tensor) bindings.Part {
	return bindings.Part{
		Linear: &l.Linear, DY: dy, Low: low,
		DA: l.DA, DB: l.DB, DMagnitude: l.DMagnitude, DWeight: l.DWeight, DBias: l.DBias,
	}
}

func (p *pass) normBackward(n *normWeight, x, inv, dy, dx bindings.Tensor, accumulate bool) {
	p.dev.NormBackward(&bindings.Norm{
		X: x, Weight: n.weight, Eps: p.m.Config.NormEps, InvRMS: inv,
		DY: dy, DX: dx, Accumulate: accumulate, DWeight: n.grad,
	})
}

// headsBackward is normBackward of each head, d in place.
func (p *pass) headsBackward(n *normWeight, raw, inv, d bindings.Tensor, heads int) {
	dim := p.m.Config.HeadDim
	raw, d = raw.Reshape(p.tokens*heads, dim), d.Reshape(p.tokens*heads, dim)
	p.normBackward(n, raw, inv, d, d, false)
}
