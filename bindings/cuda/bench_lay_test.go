package cuda

import (
	"math"

	"qlora/bench/gpu/plan"
	"qlora/bindings"
)

// The measured calls, on their own operands. x is [tokens, in], y and dy are
// [tokens, out].

func layCopy(o *operands, m plan.Measurement) func(*composer) {
	n := m.Get("bytes")
	from, to := o.random(bindings.U8, 1, n), o.random(bindings.U8, 1, n)
	return func(c *composer) { do(c, &moving{address(to), address(from), to.Bytes()}) }
}

func layGemmForward(o *operands, m plan.Measurement) func(*composer) {
	in, out, tokens := m.Get("in"), m.Get("out"), m.Get("tokens")
	x, w, y := o.random(bindings.BF16, tokens, in), o.random(bindings.BF16, out, in), o.empty(bindings.BF16, tokens, out)
	return func(c *composer) {
		c.multiply(product{layout: layoutNT, a: matrix(x), b: matrix(w), c: matrix(y), scale: 1})
	}
}

func layGemmInputGradient(o *operands, m plan.Measurement) func(*composer) {
	in, out, tokens := m.Get("in"), m.Get("out"), m.Get("tokens")
	dy, w, dx := o.random(bindings.BF16, tokens, out), o.random(bindings.BF16, out, in), o.empty(bindings.BF16, tokens, in)
	return func(c *composer) {
		c.multiply(product{layout: layoutNN, a: matrix(dy), b: matrix(w), c: matrix(dx), scale: 1})
	}
}

// A way selects how a product reads a 4-bit weight.
type way int

const (
	anyWay     way = iota // the step's choice
	fusedWay              // decoded inside the product
	decodedWay            // decoded to bf16 before, in chunks
)

func layNF4Forward(by way) func(*operands, plan.Measurement) func(*composer) {
	return func(o *operands, m plan.Measurement) func(*composer) {
		in, out, tokens := m.Get("in"), m.Get("out"), m.Get("tokens")
		x, w, y := o.random(bindings.BF16, tokens, in), o.packed(out, in), o.empty(bindings.BF16, tokens, out)
		ws := []*bindings.Weight{&w}
		return func(c *composer) {
			p := product{layout: layoutNT, a: matrix(x), c: matrix(y), scale: 1}
			switch by {
			case anyWay:
				c.forward(ws, []product{p})
			case fusedWay:
				p.weight = weightOf(&w)
				c.multiply(p)
			case decodedWay:
				c.byRows(ws, c.chunkOf(w.Out, w.In, int(p.a.rows)), func(parts []strip) { c.multiply(within(p, parts[0])) })
			}
		}
	}
}

func layNF4InputGradient(by way) func(*operands, plan.Measurement) func(*composer) {
	return func(o *operands, m plan.Measurement) func(*composer) {
		in, out, tokens := m.Get("in"), m.Get("out"), m.Get("tokens")
		dy, w, dx := o.random(bindings.BF16, tokens, out), o.packed(out, in), o.empty(bindings.BF16, tokens, in)
		ws := []*bindings.Weight{&w}
		return func(c *composer) {
			p := product{layout: layoutNN, a: matrix(dy), c: matrix(dx), scale: 1}
			switch by {
			case anyWay:
				c.summedGradient(ws, []product{p})
			case fusedWay:
				p.weight = weightOf(&w)
				c.multiply(p)
			case decodedWay:
				c.byColumns(ws, c.chunkOf(w.In, w.Out, int(p.a.rows)), func(parts []strip) {
					p, s := p, parts[0]
					p.b, p.c = s.b, columns(p.c, s.from, s.to)
					c.multiply(p)
				})
			}
		}
	}
}

func layDecode(hold func(o *operands, out, in int64) bindings.Weight) func(*operands, plan.Measurement) func(*composer) {
	return func(o *operands, m plan.Measurement) func(*composer) {
		in, out := m.Get("in"), m.Get("out")
		w, y := hold(o, out, in), o.empty(bindings.BF16, out, in)
		return func(c *composer) { do(c, &decode{weight: weightOf(&w), y: matrix(y)}) }
	}
}

func layQuantize(o *operands, m plan.Measurement) func(*composer) {
	in, out := m.Get("in"), m.Get("out")
	x, w := o.random(bindings.BF16, out, in), o.packed(out, in)
	return func(c *composer) {
		q := w.Quantized
		do(c, &quantize{x: vector(x), block: i32(q.BlockSize), codes: pointer[u8](q.Codes), absmax: pointer[float](q.Absmax)})
	}
}

func layGemv(o *operands, m plan.Measurement) func(*composer) {
	in, out, tokens := m.Get("in"), m.Get("out"), min(m.Get("tokens"), fewTokens)
	x, w, y := o.random(bindings.BF16, tokens, in), o.packed(out, in), o.empty(bindings.BF16, tokens, out)
	return func(c *composer) {
		do(c, &gemv{layout: layoutNT, a: matrix(x), weight: weightOf(&w), c: matrix(y), scale: 1})
	}
}

// layLoraDown computes XA = X·Aᵀ, layLoraPull U = dY·B.
func layLoraDown(o *operands, m plan.Measurement) func(*composer) {
	in, rank, tokens := m.Get("in"), m.Get("rank"), m.Get("tokens")
	x, a, low := o.random(bindings.BF16, tokens, in), o.random(bindings.BF16, rank, in), o.empty(bindings.BF16, tokens, rank)
	return func(c *composer) {
		c.multiply(product{layout: layoutNT, a: matrix(x), b: matrix(a), c: matrix(low), scale: 1})
	}
}

// layLoraPull computes U and dB.
func layLoraPull(o *operands, m plan.Measurement) func(*composer) {
	out, rank, tokens := m.Get("out"), m.Get("rank"), m.Get("tokens")
	l := &bindings.Linear{Adapter: &bindings.Adapter{A: o.empty(bindings.BF16, rank, 1), B: o.random(bindings.BF16, out, rank), Scale: 1}}
	part := &bindings.PartBackward{Linear: l, XA: o.random(bindings.BF16, tokens, rank), DB: o.empty(bindings.F32, out, rank)}
	dy, u := o.random(bindings.BF16, tokens, out), o.empty(bindings.BF16, tokens, rank)
	return func(c *composer) { c.pull([]pulling{{part, matrix(dy), matrix(u)}}) }
}

// layLoraGradient computes dA += Uᵀ·X, of width in, or dB += dYᵀ·XA, of width out.
func layLoraGradient(side string) func(*operands, plan.Measurement) func(*composer) {
	return func(o *operands, m plan.Measurement) func(*composer) {
		width, rank, tokens := m.Get(side), m.Get("rank"), m.Get("tokens")
		wide, thin := o.random(bindings.BF16, tokens, width), o.random(bindings.BF16, tokens, rank)
		a, b, rows, cols := thin, wide, rank, width
		if side == "out" {
			a, b, rows, cols = wide, thin, width, rank
		}
		grad := o.empty(bindings.F32, rows, cols)
		return func(c *composer) {
			c.multiply(product{layout: layoutTN, a: matrix(a), b: matrix(b), c: matrix(grad), scale: 1, accumulate: 1})
		}
	}
}

// loraLayer returns a 4-bit linear layer with an adapter.
func loraLayer(o *operands, m plan.Measurement) *bindings.Linear {
	in, out, rank := m.Get("in"), m.Get("out"), m.Get("rank")
	adapter := bindings.Adapter{A: o.random(bindings.BF16, rank, in), B: o.random(bindings.BF16, out, rank), Scale: 2}
	return &bindings.Linear{Weight: o.packed(out, in), Adapter: &adapter}
}

func layLoraForward(o *operands, m plan.Measurement) func(*composer) {
	in, out, rank, tokens := m.Get("in"), m.Get("out"), m.Get("rank"), m.Get("tokens")
	op := &bindings.Project{X: o.random(bindings.BF16, tokens, in), Parts: []bindings.Part{{
		Linear: loraLayer(o, m), Y: o.empty(bindings.BF16, tokens, out), XA: o.empty(bindings.BF16, tokens, rank),
	}}}
	return func(c *composer) { c.project(op) }
}

func layLoraBackward(o *operands, m plan.Measurement) func(*composer) {
	in, out, rank, tokens := m.Get("in"), m.Get("out"), m.Get("rank"), m.Get("tokens")
	op := &bindings.ProjectBackward{
		X: o.random(bindings.BF16, tokens, in), DX: o.empty(bindings.BF16, tokens, in),
		Parts: []bindings.PartBackward{{
			Linear: loraLayer(o, m), XA: o.random(bindings.BF16, tokens, rank), DY: o.random(bindings.BF16, tokens, out),
			DA: o.empty(bindings.F32, rank, in), DB: o.empty(bindings.F32, out, rank),
		}},
	}
	return func(c *composer) { c.projectBackward(op) }
}

// attentionOperands returns attention of one causal sequence.
func attentionOperands(o *operands, m plan.Measurement) *bindings.Attend {
	tokens, width := m.Get("tokens"), m.Get("head_dim")
	q, kv := m.Get("heads")*width, m.Get("kv_heads")*width
	starts := []int32{0, int32(tokens)}
	sequences := bindings.Sequences{Starts: starts, Device: o.int32s(starts...)}
	return &bindings.Attend{
		Q: o.random(bindings.BF16, tokens, q), K: o.random(bindings.BF16, tokens, kv), V: o.random(bindings.BF16, tokens, kv),
		O: o.empty(bindings.BF16, tokens, q), LSE: o.empty(bindings.F32, tokens, m.Get("heads")), Queries: sequences, Keys: sequences,
		Heads: int(m.Get("heads")), KVHeads: int(m.Get("kv_heads")), HeadDim: int(width), Scale: float32(1 / math.Sqrt(float64(width))),
	}
}

// A variant adds options to an attention; nil: none.
type variant func(o *operands, op *bindings.Attend)

func capped(_ *operands, op *bindings.Attend) { op.Cap = 50 }

func biased(o *operands, op *bindings.Attend) {
	op.KeyBias = o.random(bindings.F32, int64(op.Heads), int64(op.K.Rows))
}

func dropped(_ *operands, op *bindings.Attend) {
	op.Dropout, op.Random = 0.1, bindings.Random{Train: true, Seed: 1}
}

func layAttentionForward(with variant) func(*operands, plan.Measurement) func(*composer) {
	return func(o *operands, m plan.Measurement) func(*composer) {
		op := attentionOperands(o, m)
		if with != nil {
			with(o, op)
		}
		return func(c *composer) { c.attend(op) }
	}
}

func layAttentionBackward(with variant) func(*operands, plan.Measurement) func(*composer) {
	return func(o *operands, m plan.Measurement) func(*composer) {
		op := &bindings.AttendBackward{Attend: *attentionOperands(o, m)}
		if with != nil {
			with(o, &op.Attend)
		}
		return attentionGradients(o, op)
	}
}

// attentionGradients runs backward on forward's results.
func attentionGradients(o *operands, op *bindings.AttendBackward) func(*composer) {
	op.DO = o.random(bindings.BF16, int64(op.Q.Rows), int64(op.Q.Cols))
	op.DQ = o.empty(bindings.BF16, int64(op.Q.Rows), int64(op.Q.Cols))
	op.DK, op.DV = o.empty(bindings.BF16, int64(op.K.Rows), int64(op.K.Cols)), o.empty(bindings.BF16, int64(op.K.Rows), int64(op.K.Cols))
	o.prepare = append(o.prepare, func(c *composer) { c.attend(&op.Attend) })
	return func(c *composer) { c.attendBackward(op) }
}

// layCrossEntropy overwrites the logits by their gradients, which are the logits of the
// next call: small numbers, all different.
func layCrossEntropy(logitCap float64) lay {
	return func(o *operands, m plan.Measurement) func(*composer) {
		tokens, vocabulary := m.Get("tokens"), m.Get("vocabulary")
		logits, labels := o.random(bindings.BF16, tokens, vocabulary), o.below(vocabulary, tokens)
		losses, hits := o.empty(bindings.F32, 1, tokens), o.empty(bindings.F32, 1, tokens)
		return func(c *composer) {
			do(c, &crossEntropy{
				logits: matrix(logits), labels: vector(labels), logit_scale: 1, logit_cap: float(logitCap), scale: 1,
				losses: vector(losses), hits: vector(hits), backward: 1,
			})
		}
	}
}

func layHeadLoss(o *operands, m plan.Measurement) func(*composer) {
	tokens, hidden, vocabulary := m.Get("tokens"), m.Get("in"), m.Get("vocabulary")
	op := &bindings.HeadLoss{
		X:      o.random(bindings.BF16, tokens, hidden),
		Linear: &bindings.Linear{Weight: bindings.Weight{Out: int(vocabulary), In: int(hidden), Dense: o.random(bindings.BF16, vocabulary, hidden)}},
		Labels: o.below(vocabulary, tokens), Scale: 1 / float32(tokens), Stats: o.empty(bindings.F32, 1, 3),
		DX: o.empty(bindings.BF16, tokens, hidden),
	}
	return func(c *composer) { c.headLoss(op) }
}

// tensorsOf returns the shapes of the adapter's tensors that a measurement updates.
func tensorsOf(m plan.Measurement) [][2]int64 { return plan.Adapter()[:m.Get("tensors")] }

func parameters(tensors [][2]int64) (n int64) {
	for _, t := range tensors {
		n += t[0] * t[1]
	}
	return n
}

// layAdamW starts with moments of 0, which the first step changes.
func layAdamW(in8Bits bool) func(*operands, plan.Measurement) func(*composer) {
	return func(o *operands, m plan.Measurement) func(*composer) {
		op := &bindings.Optimize{Rule: bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, LR: 1e-4, Step: 1, Clip: o.float32s(1, 1)}
		moment := func(n int64) bindings.Moment {
			if in8Bits {
				return bindings.Moment{Values: o.empty(bindings.U8, 1, n), Absmax: o.empty(bindings.F32, 1, (n+255)/256)}
			}
			return bindings.Moment{Values: o.empty(bindings.F32, 1, n)}
		}
		for _, t := range tensorsOf(m) {
			w := o.random(bindings.F32, t[0], t[1])
			n := t[0] * t[1]
			op.Params = append(op.Params, bindings.Param{
				Value: w, Master: w, Grad: o.random(bindings.F32, t[0], t[1]), M: moment(n), V: moment(n), Rate: 1,
			})
		}
		return func(c *composer) { c.optimize(op) }
	}
}

func layGradNorm(o *operands, m plan.Measurement) func(*composer) {
	op := &bindings.GradNorm{Max: 1, Out: o.empty(bindings.F32, 1, 2)}
	for _, t := range tensorsOf(m) {
		op.Params = append(op.Params, bindings.Param{Grad: o.random(bindings.F32, t[0], t[1])})
	}
	return func(c *composer) { c.gradNorm(op) }
}
