package nn

import "qlora/bindings"

// Attention is causal self-attention with grouped heads.
type Attention struct {
	Heads   int
	KVHeads int // fewer than Heads: grouped-query attention (Ainslie et al. 2023)
	HeadDim int

	Q, K, V *Projection // separate projections, or
	QKV     *Projection // one fused projection, rows in Layout's order
	Layout  Layout
	O       *Projection

	QNorm, KNorm *HeadNorm // nil: none; only with separate Q, K and V
	NormRotated  bool      // normalize after RoPE instead of before
	Clip         float32   // clamps q, k and v to ±Clip; 0: no clamping
	Positions    *Rotary   // RoPE; nil: none
	KeyBias      *KeyBias  // ALiBi; nil: none
	Scale        float32   // of the scores
	Window       int       // keys that a query sees; 0: all
	Cap          float32   // soft cap of the scores; 0: none
	Sinks        string    // the tensor of the heads' sinks; "": none
	Dropout      float32   // probability on the attention weights

	layer     int // index in the model, for the cache
	stream    uint32
	sinks     bindings.Tensor // F32 [1, Heads]
	sinksGrad bindings.Tensor
}

// A Layout is the order of a fused projection's rows.
type Layout uint8

// The layouts, with n query heads for each of g key heads.
const (
	Blocks   Layout = iota // all q, all k, all v
	PerGroup               // g times [n q, k, v]; with as many key heads as heads, [q, k, v] of each head
)

func (a *Attention) declare(d *declarer) {
	a.layer, a.stream = d.attention(a.KVHeads*a.HeadDim), d.stream()
	for _, l := range a.inputs() {
		d.projection(l)
	}
	if a.QNorm != nil {
		a.QNorm.declare(d)
	}
	if a.KNorm != nil {
		a.KNorm.declare(d)
	}
	if a.Sinks != "" {
		a.sinks = d.vectorF32(weightSource{name: a.Sinks, module: a.Sinks, grad: &a.sinksGrad}, a.Heads)
	}
	d.projection(a.O)
	d.rotary(a.Positions)
	d.keyBias(a.KeyBias)
}

func (a *Attention) inputs() []*Projection {
	if a.QKV != nil {
		return []*Projection{a.QKV}
	}
	return []*Projection{a.Q, a.K, a.V}
}

func (a *Attention) projections() []*Projection { return append(a.inputs(), a.O) }

// attentionState holds what backward reads.
type attentionState struct {
	q, k, v      bindings.Tensor // after RoPE: [tokens, heads·head_dim], views of fused
	fused        bindings.Tensor // [tokens, all rows]; absent with separate projections
	raw          [3]bindings.Tensor
	qInv, kInv   normStats
	xa           [3]bindings.Tensor
	attended     bindings.Tensor // [tokens, heads·head_dim]
	lse          bindings.Tensor // F32 [tokens, heads]
	keys, values bindings.Tensor // the whole cache if there is one; else k and v
}

// split returns the queries', keys' and values' columns of a fused tensor.
func (a *Attention) split(fused bindings.Tensor) (q, k, v bindings.Tensor) {
	d := a.HeadDim
	if a.Layout == Blocks {
		nq, nk := a.Heads*d, a.KVHeads*d
		return fused.Columns(0, nq), fused.Columns(nq, nq+nk), fused.Columns(nq+nk, nq+2*nk)
	}
	n := a.Heads / a.KVHeads * d
	period := n + 2*d
	return fused.Every(period, 0, n), fused.Every(period, n, d), fused.Every(period, n+d, d)
}

// room allocates q, k and v in arena to.
func (a *Attention) room(p *pass, to *bindings.Arena) (q, k, v, fused bindings.Tensor) {
	nq, nkv := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	if a.QKV == nil {
		return p.features(to, nq), p.features(to, nkv), p.features(to, nkv), bindings.Tensor{}
	}
	fused = p.features(to, nq+2*nkv)
	q, k, v = a.split(fused)
	return q, k, v, fused
}

func (a *Attention) begin(p *pass, x func() bindings.Tensor, to *bindings.Arena, _ bool) any {
	s := &attentionState{}
	a.queryKeyValue(p, s, x, to)
	if p.cache == nil {
		s.keys, s.values = s.k, s.v
	}
	s.attended = p.features(to, a.Heads*a.HeadDim)
	if p.backward {
		s.lse = to.New(bindings.F32, p.tokens, a.Heads)
	}
	op := set(&p.ops.attend, a.operation(p, s))
	mark := p.work.Mark()
	if p.gathered.shares() {
		op.K, op.V = p.gather(s.k), p.gather(s.v)
	}
	p.run(op)
	p.work.Release(mark)
	return s
}

func (a *Attention) queryKeyValue(p *pass, s *attentionState, x func() bindings.Tensor, to *bindings.Arena) {
	s.q, s.k, s.v, s.fused = a.room(p, to)
	inputs := a.inputs()
	p.xas(s.xa[:len(inputs)], to, inputs)
	s.raw = [3]bindings.Tensor{s.q, s.k, s.v}
	mark := p.work.Mark()
	in := x()
	if a.QKV != nil {
		p.projectAll(in, a.QKV.part(s.fused, s.xa[0]))
	} else {
		p.projectAll(in, a.Q.part(s.q, s.xa[0]), a.K.part(s.k, s.xa[1]), a.V.part(s.v, s.xa[2]))
	}
	p.work.Release(mark)
	if a.Clip > 0 {
		a.clip(p, s, to)
	}
	if p.cache != nil {
		a.extend(p, s)
		return
	}
	if a.QNorm == nil && a.KNorm == nil {
		a.rotate(p, s.q, s.k, false)
		return
	}
	var q, k *bindings.RoPE // what follows the norms
	if a.NormRotated {
		a.rotate(p, s.q, s.k, false)
	} else {
		q, k = a.rotations(p, s.q, s.k, false)
	}
	s.q, s.qInv = p.normalizeHeads(to, a.QNorm, s.raw[0], s.q, q)
	s.k, s.kInv = p.normalizeHeads(to, a.KNorm, s.raw[1], s.k, k)
}

// rotations returns RoPE of queries and of keys, or its inverse; nil without positions.
func (a *Attention) rotations(p *pass, q, k bindings.Tensor, inverse bool) (ofQ, ofK *bindings.RoPE) {
	of := &p.ops.rotations
	return p.rotation(&of[0], a.Positions.queries(), q, a.Heads, a.HeadDim, inverse), p.rotation(&of[1], a.Positions, k, a.KVHeads, a.HeadDim, inverse)
}

// rotate applies RoPE to queries and keys, or its inverse: as one operation if the angles are
// those of both.
func (a *Attention) rotate(p *pass, q, k bindings.Tensor, inverse bool) {
	ofQ, ofK := a.rotations(p, q, k, inverse)
	switch {
	case ofQ == nil:
	case ofQ.Cos == ofK.Cos:
		ofQ.K, ofQ.KVHeads = k, a.KVHeads
		p.run(ofQ)
	default:
		p.run(ofQ)
		p.run(ofK)
	}
}

// clip clamps q, k and v. If backward needs the clamped values, it copies q and k,
// because RoPE runs in place.
func (a *Attention) clip(p *pass, s *attentionState, to *bindings.Arena) {
	for i, t := range s.raw {
		if a.QKV == nil || i == 0 {
			if a.QKV != nil {
				t = s.fused
			}
			p.run(&bindings.Clamp{X: t, Limit: a.Clip})
		}
	}
	if p.backward && a.Positions != nil {
		for i, t := range []*bindings.Tensor{&s.q, &s.k} {
			*t = p.features(to, t.Cols)
			p.run(&bindings.Copy{Dst: *t, Src: s.raw[i]})
		}
	}
}

func (a *Attention) operation(p *pass, s *attentionState) bindings.Attend {
	op := bindings.Attend{
		Q: s.q, K: s.keys, V: s.values, O: s.attended, LSE: s.lse, Queries: p.sequences, Keys: p.keys,
		Heads: a.Heads, KVHeads: a.KVHeads, HeadDim: a.HeadDim,
		Scale: a.Scale, Window: a.Window, Cap: a.Cap, KeyBias: a.KeyBias.table(), Sinks: a.sinks,
		Dropout: a.Dropout, Stream: a.stream, Random: p.random,
	}
	if p.cache != nil {
		op.Queries, op.Keys = p.cache.pass.queries, p.cache.pass.keys
	}
	return op
}

func (a *Attention) finish(p *pass, state any, out, residual bindings.Tensor, to *bindings.Arena) bindings.Tensor {
	s := state.(*attentionState)
	xa := p.xa(to, a.O)
	p.project(a.O, s.attended, out, residual, xa)
	return xa
}

func (a *Attention) backward(p *pass, state any, xa, dy bindings.Tensor, x func() bindings.Tensor, dx *target) {
	s := state.(*attentionState)
	op := set(&p.ops.attendBackward, bindings.AttendBackward{Attend: a.operation(p, s), DSinks: a.sinksGrad})
	op.DO = p.features(p.work, a.Heads*a.HeadDim)
	p.projectBackward(s.attended, &target{room: func() bindings.Tensor { return op.DO }}, a.O.back(dy, xa))
	var dFused bindings.Tensor
	if a.QKV != nil {
		op.DQ, op.DK, op.DV, dFused = a.room(p, p.work)
	} else {
		n := a.KVHeads * a.HeadDim
		op.DQ, op.DK, op.DV = op.DO, p.features(p.work, n), p.features(p.work, n)
	}
	if !a.NormRotated {
		op.AfterQ, op.AfterK = a.rotations(p, op.DQ, op.DK, true)
	}
	a.attendBackward(p, op)
	if a.QNorm != nil {
		p.normalizeHeadsBackward(a.QNorm, s.raw[0], s.qInv, op.DQ)
	}
	if a.KNorm != nil {
		p.normalizeHeadsBackward(a.KNorm, s.raw[1], s.kInv, op.DK)
	}
	if a.NormRotated {
		a.rotate(p, op.DQ, op.DK, true)
	}
	if a.QKV != nil {
		a.clipBackward(p, s.fused, dFused)
		p.projectBackwardOf(x, dx, a.QKV.back(dFused, s.xa[0]))
		return
	}
	for i, d := range []bindings.Tensor{op.DQ, op.DK, op.DV} {
		a.clipBackward(p, s.raw[i], d)
	}
	p.projectBackwardOf(x, dx, a.Q.back(op.DQ, s.xa[0]), a.K.back(op.DK, s.xa[1]), a.V.back(op.DV, s.xa[2]))
}

// attendBackward runs op, with gathered keys if beginnings are shared.
func (a *Attention) attendBackward(p *pass, op *bindings.AttendBackward) {
	if !p.gathered.shares() {
		p.run(op)
		return
	}
	mark := p.work.Mark()
	all := *op
	all.K, all.V = p.gather(op.K), p.gather(op.V)
	all.DK, all.DV = p.work.New(op.DK.DType, all.K.Rows, op.DK.Cols), p.work.New(op.DV.DType, all.V.Rows, op.DV.Cols)
	all.AfterK = nil // of the rows, not of all copies
	p.run(&all)
	p.gatherBackward(all.DK, op.DK)
	p.gatherBackward(all.DV, op.DV)
	if op.AfterK != nil {
		p.run(op.AfterK)
	}
	p.work.Release(mark)
}

func (a *Attention) clipBackward(p *pass, limited, d bindings.Tensor) {
	if a.Clip > 0 {
		p.run(&bindings.ClampBackward{X: limited, DX: d, Limit: a.Clip})
	}
}
