package cuda

import (
	"qlora/bindings"
	"qlora/internal/philox"
)

// project computes XA of all parts, then their outputs: the base's products with those of the
// adapters' B in the same accumulators, all in one launch where their weights are read alike. After
// is part of that launch, or the last.
func (c *composer) project(op *bindings.Project) {
	c.whole = op.Whole
	after := op.After
	layers := c.taken().layers.take(len(op.Parts))
	for i := range op.Parts {
		layers[i] = op.Parts[i].Linear
	}
	for parts := op.Parts; len(parts) > 0; {
		n := together(layers[len(op.Parts)-len(parts):], op.X.Rows, false)
		c.inside(func() {
			if isDecomposed(parts[0].Linear) {
				c.decomposed(op, &parts[0])
			} else {
				after = c.alike(op, parts[:n], after)
			}
		})
		parts = parts[n:]
	}
	if after != nil {
		c.activate(after)
	}
}

// alike computes parts whose weights are read alike. It returns after, unless it has computed it.
func (c *composer) alike(op *bindings.Project, parts []bindings.Part, after *bindings.Activate) *bindings.Activate {
	xas := c.xas(op, parts)
	ws, ys := c.taken().weights.take(len(parts)), c.taken().products.take(len(parts))
	for i := range parts {
		p := &parts[i]
		ws[i] = &p.Linear.Weight
		ys[i] = product{a: matrix(op.X), c: matrix(p.Y), residual: matrix(p.Residual), bias: vector(p.Linear.Bias), scale: 1}
		if a := p.Linear.Adapter; a != nil {
			ys[i].a2, ys[i].b2, ys[i].scale2 = xas[i], matrix(a.B), float(a.Scale)
		}
	}
	if after != nil && len(parts) == len(op.Parts) && c.gated(ws, ys, after) {
		return nil
	}
	c.forward(ws, ys)
	return after
}

// gated launches the products of gate and up, two or the halves of one, with the activation of
// their results. It reports whether it did: not for products of few tokens.
func (c *composer) gated(ws []*bindings.Weight, ys []product, after *bindings.Activate) bool {
	n, tokens := after.Y.Cols, int(ys[0].a.rows)
	step, up := n, 0 // up: where its rows begin
	switch readingOf(ws[0], tokens, false, false) {
	case decoded:
		step = c.chunkOf(2*n, ws[0].In, tokens) / 2
	case dense:
	default:
		return false
	}
	for i := range ys {
		ys[i].layout = layoutNT
	}
	if len(ws) == 1 {
		w, y := ws[0], ys[0]
		ws, ys, up = c.taken().weights.take(2), c.taken().products.take(2), n
		ws[0], ws[1], ys[0], ys[1] = w, w, y, y
	}
	c.byPairs(ws, n, up, step, func(strips []strip) {
		s := strips[0]
		y := gated{kind: i32(after.Kind), y: columns(matrix(after.Y), s.from, s.to)}
		both := c.taken().products.take(2)
		both[0], both[1] = within(ys[0], s), within(ys[1], strips[1])
		c.multiplyGated(both, 2*n, y)
	})
	return true
}

// xas returns each part's XA = dropout(X)·Aᵀ, in scratch unless backward reads it. Without
// dropout, stacked A are one operand.
func (c *composer) xas(op *bindings.Project, parts []bindings.Part) []tensor {
	r := c.taken()
	all, as, kept := r.tensors.take(len(parts)), r.operands.take(len(parts))[:0], r.operands.take(len(parts))[:0]
	ranks, apart := 0, false
	for i := range parts {
		if a := parts[i].Linear.Adapter; a != nil {
			as, kept = append(as, a.A), append(kept, parts[i].XA)
			ranks += a.Rank()
			apart = apart || drops(op.Random, a) || parts[i].XA.Absent() != kept[0].Absent()
		}
	}
	if len(as) == 0 {
		return all
	}
	xa, a := matrix(kept[0]), as[0]
	if len(as) > 1 && !apart {
		stacked, isStacked := bindings.Stacked(as...)
		abreast, isAbreast := bindings.Abreast(kept...)
		if apart = !isStacked || !isAbreast && !kept[0].Absent(); !apart {
			xa, a = matrix(abreast), stacked
		}
	}
	if xa.rows == 0 {
		xa = c.scratch.take(bindings.BF16, op.X.Rows, ranks)
	}
	thin, from := r.products.take(len(parts))[:0], 0
	for i := range parts {
		p := &parts[i]
		if p.Linear.Adapter == nil {
			continue
		}
		r := p.Linear.Adapter.Rank()
		if all[i] = matrix(p.XA); p.XA.Absent() {
			all[i] = columns(xa, from, from+r)
		}
		from += r
		if apart || len(as) == 1 {
			thin = append(thin, withDropout(product{a: matrix(op.X), b: matrix(p.Linear.Adapter.A), c: all[i]}, op.Random, p.Linear.Adapter, maskA))
		}
	}
	if len(thin) == 0 {
		thin = append(thin, product{a: matrix(op.X), b: matrix(a), c: xa})
	}
	c.thin(thin, ranks)
	return all
}

// thin launches products with the ranks for their outputs, n in all.
func (c *composer) thin(ps []product, n int) {
	few := true
	for i := range ps {
		ps[i].layout, ps[i].scale = layoutNT, 1
		few = few && ps[i].a.rows <= fewTokens && ps[i].mask_on == 0
	}
	if !few {
		c.multiplyParts(ps, n)
		return
	}
	for i := range ps {
		p := &ps[i]
		p.weight = weight{out: i32(p.c.cols), in: i32(p.a.cols), dense: p.b}
		p.b = tensor{}
		do(c, (*gemv)(p))
	}
}

// forward launches products y with weights as their operand B, which are read alike: as GEMVs
// for few tokens, else with the weights decoded inside the products or before them.
func (c *composer) forward(ws []*bindings.Weight, ys []product) {
	tokens := int(ys[0].a.rows)
	for i := range ys {
		ys[i].layout = layoutNT
	}
	switch readingOf(ws[0], tokens, ys[0].mask_on == maskA, false) {
	case byRow:
		for i := range ys {
			ys[i].weight = weightOf(ws[i])
			do(c, (*gemv)(&ys[i]))
		}
	case dense:
		for i := range ys {
			ys[i].b = matrix(ws[i].Dense)
		}
		c.multiplyParts(ys, outputs(ws))
	case coded:
		for i := range ys {
			ys[i].weight = weightOf(ws[i])
		}
		c.multiplyParts(ys, outputs(ws))
	default:
		n := outputs(ws)
		c.byRows(ws, c.chunkOf(n, ws[0].In, tokens), func(strips []strip) {
			parts := c.taken().products.take(len(strips))
			for i, s := range strips {
				parts[i] = within(ys[s.of], s)
			}
			c.multiplyParts(parts, n)
		})
	}
}

// within returns y restricted to the columns of its result that are a strip's rows.
func within(y product, s strip) product {
	y.b, y.b2 = s.b, rows(y.b2, s.from, s.to)
	y.c, y.residual = columns(y.c, s.from, s.to), columns(y.residual, s.from, s.to)
	y.bias, y.gain = columns(y.bias, s.from, s.to), columns(y.gain, s.from, s.to)
	return y
}

// drops reports whether dropout applies to the adapter's input.
func drops(r bindings.Random, a *bindings.Adapter) bool { return r.Train && a.Dropout > 0 }

// maskOf returns the mask of a stream; zero without dropout.
func maskOf(r bindings.Random, stream uint32, probability float32) mask {
	if !r.Train || probability == 0 {
		return mask{}
	}
	d := philox.NewDropout(r.Seed, stream, r.Step, probability)
	k := mask{
		seed: u64(r.Seed), stream: u32(stream), step: u32(r.Step),
		threshold: u32(d.Threshold()), scale: float(d.Scale),
	}
	if !r.Device.Absent() {
		k.step, k.place = 0, pointer[u32](r.Device)
	}
	return k
}
