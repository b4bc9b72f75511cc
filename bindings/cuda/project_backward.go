package cuda

import "qlora/bindings"

// projectBackward computes the parts' gradients. DX is one sum over the parts whose weights are
// read alike and whose adapters have no dropout, rounded once. With After it puts X in the place of
// DX before the gradients that X is a factor of.
func (c *composer) projectBackward(op *bindings.ProjectBackward) {
	c.whole = op.Whole
	layers := c.taken().layers.take(len(op.Parts))
	for i := range op.Parts {
		layers[i] = op.Parts[i].Linear
	}
	accumulate := op.Accumulate
	late := c.taken().pulled.take(len(op.Parts))[:0] // whose parameters' gradients come after After
	for parts := op.Parts; len(parts) > 0; accumulate = true {
		n := together(layers[len(op.Parts)-len(parts):], op.X.Rows, true)
		some := parts[:n]
		switch {
		case op.After != nil:
			u := c.pulledAll(op, some)
			c.inside(func() { c.inputGradient(op, u, accumulate) })
			late = append(late, u)
		case isDecomposed(some[0].Linear):
			c.inside(func() { c.decomposedBackward(op, &some[0], accumulate) })
		default:
			c.inside(func() {
				u := c.pulledAll(op, some)
				c.parameters(op, u)
				if !op.DX.Absent() {
					c.inputGradient(op, u, accumulate)
				}
			})
		}
		parts = parts[n:]
	}
	switch after := op.After.(type) {
	case *bindings.ActivateBackward:
		if gateOf(op).g.rows == 0 {
			c.activateBackward(after)
		}
	case *bindings.NormBackward:
		c.normBackward(after)
	}
	for _, u := range late {
		c.inside(func() { c.parameters(op, u) })
	}
}

// gateOf returns After, if it is the gradient of a gated activation that the product of the only
// part can compute; else no gate.
func gateOf(op *bindings.ProjectBackward) gate {
	after, ok := op.After.(*bindings.ActivateBackward)
	if !ok || len(op.Parts) > 1 || after.U.Absent() {
		return gate{}
	}
	return gate{
		kind: i32(after.Kind), again: flag(!after.Again.Absent()),
		g: matrix(after.G), u: matrix(after.U), dg: matrix(after.DG), du: matrix(after.DU),
	}
}

// columnsOf returns a gate's columns [from, to).
func columnsOf(g gate, from, to int) gate {
	g.g, g.u, g.dg, g.du = columns(g.g, from, to), columns(g.u, from, to), columns(g.dg, from, to), columns(g.du, from, to)
	return g
}

// A pulled is parts whose weights are read alike, with U = Scale·DY·B of each, and all U next to each
// other; absent where nothing reads them.
type pulled struct {
	parts []bindings.PartBackward
	us    []tensor
	u     tensor
}

// parameters computes the gradients of the adapters, weights and biases of parts.
func (c *composer) parameters(op *bindings.ProjectBackward, of pulled) {
	if of.u.rows > 0 {
		c.adapters(op, of)
	}
	for i := range of.parts {
		p := &of.parts[i]
		if !p.DWeight.Absent() {
			c.multiply(product{layout: layoutTN, a: matrix(p.DY), b: matrix(op.X), c: matrix(p.DWeight), scale: 1, accumulate: 1})
		}
		if !p.DBias.Absent() {
			c.sumRows(sumRows{x: matrix(p.DY), sum: vector(p.DBias)})
		}
	}
}

// pulledAll computes the U of parts in scratch, and DB += Scale·DYᵀ·XA.
func (c *composer) pulledAll(op *bindings.ProjectBackward, parts []bindings.PartBackward) pulled {
	of, ranks := pulled{parts: parts, us: c.taken().tensors.take(len(parts))}, 0
	read := func(p *bindings.PartBackward) bool {
		return p.Linear.Adapter != nil && (!op.DX.Absent() || !p.DA.Absent())
	}
	for i := range parts {
		if read(&parts[i]) {
			ranks += parts[i].Linear.Adapter.Rank()
		}
	}
	if ranks == 0 {
		return of
	}
	of.u = c.scratch.take(bindings.BF16, op.X.Rows, ranks)
	todo, from := c.taken().pullings.take(len(parts))[:0], 0
	for i := range parts {
		if p := &parts[i]; read(p) {
			of.us[i] = columns(of.u, from, from+p.Linear.Adapter.Rank())
			from += p.Linear.Adapter.Rank()
			todo = append(todo, pulling{p, matrix(p.DY), of.us[i]})
		}
	}
	c.pull(todo)
	return of
}

// adapters computes DA += Uᵀ·dropout(X). Without dropout, stacked DA are one result.
func (c *composer) adapters(op *bindings.ProjectBackward, of pulled) {
	das, one := c.taken().operands.take(len(of.parts))[:0], true
	for i := range of.parts {
		p := &of.parts[i]
		if of.us[i].rows == 0 {
			continue
		}
		one = one && !p.DA.Absent() && !drops(op.Random, p.Linear.Adapter)
		das = append(das, p.DA)
	}
	if one {
		var all bindings.Tensor
		if all, one = bindings.Stacked(das...); one {
			c.multiply(product{layout: layoutTN, a: of.u, b: matrix(op.X), c: matrix(all), scale: 1, accumulate: 1})
			return
		}
	}
	for i := range of.parts {
		if of.us[i].rows > 0 {
			c.downGradient(op, &of.parts[i], of.us[i])
		}
	}
}

// downGradient computes DA += Uᵀ·dropout(X).
func (c *composer) downGradient(op *bindings.ProjectBackward, p *bindings.PartBackward, u tensor) {
	if !p.DA.Absent() {
		c.multiply(withDropout(product{
			layout: layoutTN, a: u, b: matrix(op.X), c: matrix(p.DA), scale: 1, accumulate: 1,
		}, op.Random, p.Linear.Adapter, maskB))
	}
}

// inputGradient computes DX (+)= the parts' DY·W + dropout'(U·A): as one sum if the A are stacked
// and there is no dropout, whose masks differ.
func (c *composer) inputGradient(op *bindings.ProjectBackward, of pulled, accumulate bool) {
	r, n := c.taken(), len(of.parts)
	ws, dxs, as := r.weights.take(n), r.products.take(n), r.operands.take(n)[:0]
	one := true
	for i := range of.parts {
		p := &of.parts[i]
		ws[i] = &p.Linear.Weight
		dxs[i] = product{a: matrix(p.DY), c: matrix(op.DX), scale: 1, accumulate: flag(accumulate || i > 0), gate: gateOf(op)}
		if a := p.Linear.Adapter; a != nil {
			as, one = append(as, a.A), one && !drops(op.Random, a)
			dxs[i].a2, dxs[i].b2, dxs[i].scale2 = of.us[i], matrix(a.A), 1
			dxs[i] = withDropout(dxs[i], op.Random, a, maskExtension)
		}
	}
	if one && len(as) > 0 {
		var all bindings.Tensor
		if all, one = bindings.Stacked(as...); one {
			for i := range dxs {
				dxs[i].a2, dxs[i].b2 = tensor{}, tensor{}
			}
			dxs[0].a2, dxs[0].b2, dxs[0].scale2 = of.u, matrix(all), 1
		}
	}
	if one && readingOf(ws[0], op.X.Rows, false, true) != coded {
		c.summedGradient(ws, dxs)
		return
	}
	for i := range dxs {
		c.summedGradient(ws[i:i+1], dxs[i:i+1])
	}
}

// summedGradient launches the sum of products dx with weights as their operands B. Weights
// decoded before are processed by columns, so that each element of DX is rounded once.
func (c *composer) summedGradient(ws []*bindings.Weight, dxs []product) {
	tokens := int(dxs[0].a.rows)
	for i := range dxs {
		dxs[i].layout = layoutNN
	}
	switch readingOf(ws[0], tokens, false, true) {
	case dense:
		for i := range dxs {
			dxs[i].b = matrix(ws[i].Dense)
		}
		c.sum(dxs, int(dxs[0].c.cols))
	case coded:
		dxs[0].weight = weightOf(ws[0])
		c.multiply(dxs[0])
	default:
		in := ws[0].In
		c.byColumns(ws, c.chunkOf(in, outputs(ws), tokens), func(strips []strip) {
			parts := c.taken().products.take(len(strips))
			for i, s := range strips {
				parts[i] = dxs[i]
				parts[i].b, parts[i].b2 = s.b, columns(parts[i].b2, s.from, s.to)
				parts[i].c, parts[i].mask_col = columns(parts[i].c, s.from, s.to), i32(s.from)
				parts[i].gate = columnsOf(parts[i].gate, s.from, s.to)
			}
			c.sum(parts, in)
		})
	}
}

// sumTokens is the number of rows per partial sum over rows, and sumPieces the maximum
// number of partial sums.
const sumTokens, sumPieces = 32, 256

func pieces(rows int) int { return min(ceil(rows, sumTokens), sumPieces) }

// sumRows allocates the partial sums and launches k.
func (c *composer) sumRows(k sumRows) {
	c.inside(func() {
		k.workspace = c.scratch.take(bindings.F32, max(1, pieces(int(k.x.rows))), int(k.x.cols))
		do(c, &k)
	})
}
