package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// project computes all parts from one packed X, except decomposed ones with dropout, which
// need packed inputs of their own.
func (d *Device) project(op *bindings.Project) {
	if isFew(op) {
		d.few.lay(d, op)
		d.few.run()
		return
	}
	for _, parts := range batches(op) {
		s := scratchOf(d.workspace)
		newProjection(&d.profile, op, parts, &s, false).run(d)
	}
	if op.After != nil {
		d.activate(op.After)
	}
}

// projectFloats returns the scratch of the largest batch in floats.
func projectFloats(p *profile, op *bindings.Project) int {
	if isFew(op) {
		return fewFloats(op)
	}
	need := 0
	for _, parts := range batches(op) {
		need = max(need, planned(func(s *scratch) { newProjection(p, op, parts, s, false) }))
	}
	return need
}

// batches divides the parts into those that are computed together.
func batches(op *bindings.Project) [][]*bindings.Part {
	var together []*bindings.Part
	var all [][]*bindings.Part
	for i := range op.Parts {
		p := &op.Parts[i]
		if a := p.Linear.Adapter; isDecomposed(p.Linear) && drops(op.Random, a) {
			all = append(all, []*bindings.Part{p})
		} else {
			together = append(together, p)
		}
	}
	if len(together) > 0 {
		all = append(all, together)
	}
	return all
}

// drops reports whether dropout applies to the adapter's input.
func drops(r bindings.Random, a *bindings.Adapter) bool { return r.Train && a.Dropout > 0 }

// maskOf returns the dropout of an adapter's input.
func maskOf(r bindings.Random, a *bindings.Adapter) vector.Dropout {
	return vector.NewDropout(r.Seed, a.Stream, r.Step, a.Dropout).From(r.Row)
}

// A projection is the state of a Project of some parts. It packs a chunk of X and computes
// the adapters' XA from it, then the pieces of all parts' Y.
type projection struct {
	op      *bindings.Project
	family  kernels.Family
	chunk   int    // tokens
	x       panels // [chunk, in]: X; of a decomposed part with dropout dropout(X),
	lost    panels // and X - dropout(X)
	dropped bool   // x is dropout(X)
	parts   []projected
	inputs  []thinInput
	size    cut
	workers []worker
	thin    [][]float32 // each lane's XA of a block of all parts
}

// projected is a part of a projection.
type projected struct {
	*bindings.Part
	weight kernels.Operand
	short  kernels.Operand // XA of a chunk, if it is not kept
	packed panels          // Scale·XA
	bias   []float32       // in float32
	gain   []float32       // Magnitude/Norms
	more   [][]float32     // each lane's second sums, with lost
}

// newProjection returns the projection of the parts with its scratch. A decomposed part
// with dropout is Y = (X - D)·Wᵀ + G·(D·Wᵀ + Scale·XA·Bᵀ) for D = dropout(X). Backward
// needs only its V and has XA.
func newProjection(p *profile, op *bindings.Project, parts []*bindings.Part, s *scratch, backward bool) *projection {
	f := p.families.of(op.X.DType)
	c := &projection{op: op, family: f, chunk: chunkOf(f, op.X.Rows, op.X.Cols), parts: make([]projected, len(parts))}
	first := parts[0].Linear
	c.dropped = isDecomposed(first) && drops(op.Random, first.Adapter)
	split := c.dropped && !backward
	outs, drawn := make([]int, len(parts)), false
	for i, part := range parts {
		outs[i] = part.Linear.Weight.Out
		drawn = drawn || part.Linear.Adapter != nil && drops(op.Random, part.Linear.Adapter)
	}
	c.size = p.cutOf(f, c.chunk, outs...)
	c.workers = p.workers(f, s, mostOf(f, c.chunk), drawn)
	c.x = leftPanels(f, s, c.chunk, op.X.Cols)
	if split {
		c.lost = leftPanels(f, s, c.chunk, op.X.Cols)
	}
	for i, part := range parts {
		c.parts[i].lay(p, c, part, s, split)
	}
	if !backward {
		c.inputs = c.thinInputs()
	}
	ranks := 0
	for i := range c.inputs {
		c.inputs[i].lay(p, c, s)
		ranks = max(ranks, c.inputs[i].ranks)
	}
	c.thin = lanes(p, s, blockMost(f)*ranks)
	return c
}

// lay allocates a part's scratch.
func (t *projected) lay(p *profile, c *projection, part *bindings.Part, s *scratch, split bool) {
	t.Part = part
	l := part.Linear
	if !s.plan {
		t.weight = operandOfWeight(&l.Weight)
	}
	if !l.Bias.Absent() {
		t.bias = s.take(l.Weight.Out)
	}
	if isDecomposed(l) {
		t.gain = s.take(l.Weight.Out)
	}
	if split {
		most := mostOf(c.family, c.chunk)
		t.more = lanes(p, s, most.rows*most.cols)
	}
	if a := l.Adapter; a != nil {
		t.packed = leftPanels(c.family, s, c.chunk, a.Rank())
		if part.XA.Absent() {
			t.short = newOperand(s, c.op.X.DType, c.chunk, a.Rank())
		}
	}
}

// run computes the parts chunk by chunk.
func (c *projection) run(d *Device) {
	for i := range c.parts {
		c.parts[i].prepare()
	}
	for i := range c.inputs {
		c.inputs[i].pack(d, c.workers)
	}
	var pieces []piece
	for first := 0; first < c.op.X.Rows; first += c.chunk {
		n := min(c.chunk, c.op.X.Rows-first)
		c.pack(d, first, n)
		pieces = pieces[:0]
		for i := range c.parts {
			pieces = c.size.pieces(pieces, c.family.Info(), i, n, c.parts[i].Linear.Weight.Out)
		}
		d.parallel(len(pieces), func(lane, i int) { c.compute(lane, first, &pieces[i]) })
	}
}

// prepare widens the bias and computes the gain.
func (t *projected) prepare() {
	if t.bias != nil {
		widen(t.bias, t.Linear.Bias, 0)
	}
	if t.gain != nil {
		gains(t.gain, t.Linear.Adapter)
	}
}

// pack packs n tokens from first on and computes the adapters' XA, block by block.
func (c *projection) pack(d *Device, first, n int) {
	block := d.blockOf(c.family, n)
	x := operandOf(c.op.X).At(first, 0)
	d.parallel(tiles(n, block), func(lane, i int) {
		w, row := &c.workers[lane], i*block
		rows := min(block, n-row)
		c.packInput(w, &x, first, row, rows)
		for i := range c.inputs {
			c.inputs[i].multiply(c, lane, first, row, rows)
		}
		for i := range c.parts {
			if p := &c.parts[i]; p.packed.depth > 0 {
				xa := p.xaOperand(first)
				w.pack(&p.packed, &xa, row, rows, p.Linear.Adapter.Scale)
			}
		}
	})
}

// packInput packs n rows from row on of the chunk x, which begins at token first.
func (c *projection) packInput(w *worker, x *kernels.Operand, first, row, n int) {
	if !c.dropped {
		w.pack(&c.x, x, row, n, 1)
		return
	}
	mask, rows := maskOf(c.op.Random, c.parts[0].Linear.Adapter), rowsOf(c.op.X).Slice(first+row, first+row+n)
	w.packDropped(&c.x, row, mask.Drop, rows, first+row)
	if c.lost.depth > 0 {
		w.packDropped(&c.lost, row, mask.Lost, rows, first+row)
	}
}

// compute computes a piece of a part's Y.
func (c *projection) compute(lane, first int, at *piece) {
	p := &c.parts[at.part]
	sums, gain := c.direction(lane, at)
	if p.more != nil {
		for t := 0; t < at.rows*at.cols; t += at.cols {
			vector.AddMask(p.more[lane][t:t+at.cols], sums[t:t+at.cols], gain)
		}
		sums, gain = p.more[lane], nil
	}
	e := vector.Epilogue{Gain: gain, Residual: rowsAt(p.Residual, first+at.row, at.rows, at.col, at.cols)}
	if p.bias != nil {
		e.Bias = p.bias[at.col : at.col+at.cols]
	}
	vector.Store(rowsAt(p.Y, first+at.row, at.rows, at.col, at.cols), sums, at.cols, &e)
}

// direction computes a piece's V = X·Wᵀ + Scale·XA·Bᵀ and returns it with the piece's
// gain, nil without a magnitude. A split part's X is dropout(X), and its second sums
// become (X - dropout(X))·Wᵀ.
func (c *projection) direction(lane int, at *piece) (v, gain []float32) {
	w, p := &c.workers[lane], &c.parts[at.part]
	weight := p.weight.At(at.col, 0)
	if p.more == nil {
		w.multiply(at, &weight, factor{left: &c.x, sums: w.sums})
	} else {
		w.multiply(at, &weight, factor{left: &c.x, sums: w.sums}, factor{left: &c.lost, sums: p.more[lane]})
	}
	if a := p.Linear.Adapter; a != nil {
		up := operandOf(a.B).At(at.col, 0)
		w.multiply(at, &up, factor{left: &p.packed, sums: w.sums, add: true})
	}
	if p.gain != nil {
		gain = p.gain[at.col : at.col+at.cols]
	}
	return w.sums, gain
}
