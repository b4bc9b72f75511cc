package cpu

import (
	"slices"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// projectBackward computes DX and the adapters' gradients chunk by chunk, then those that
// few runs want.
func (d *Device) projectBackward(op *bindings.ProjectBackward) {
	s := scratchOf(d.workspace)
	newBackprop(&d.profile, op, &s).run(d)
	for i := range op.Parts {
		p := &op.Parts[i]
		if !p.DMagnitude.Absent() {
			s := scratchOf(d.workspace)
			newMeasure(&d.profile, op, p, &s).run(d)
		}
		if !p.DWeight.Absent() {
			s := scratchOf(d.workspace)
			newWeightGradient(&d.profile, op, p, &s).run(d)
		}
		if !p.DBias.Absent() {
			d.addRows(f32(p.DBias), rowsOf(p.DY))
		}
	}
}

// projectBackwardFloats returns the scratch in floats.
func projectBackwardFloats(p *profile, op *bindings.ProjectBackward) int {
	need := planned(func(s *scratch) { newBackprop(p, op, s) })
	for i := range op.Parts {
		part := &op.Parts[i]
		if !part.DMagnitude.Absent() {
			need = max(need, planned(func(s *scratch) { newMeasure(p, op, part, s) }))
		}
		if !part.DWeight.Absent() {
			need = max(need, planned(func(s *scratch) { newWeightGradient(p, op, part, s) }))
		}
	}
	return need
}

// A backprop is the state of a ProjectBackward. It packs a chunk of all DY and computes
// each adapter's U = Scale·DY·B from it, then the pieces of DX, which sum over the parts in
// order, and of the adapters' gradients.
//
// A decomposed part has H = G·DY in place of DY. With dropout it has both: DY for the base
// and H - DY, which passes the mask with U·A.
type backprop struct {
	op      *bindings.ProjectBackward
	family  kernels.Family
	chunk   int // tokens
	parts   []returned
	size    cut
	workers []worker
	thin    [][]float32              // each lane's U of a block, or gradient of thinCols columns
	masked  [][]float32              // each lane's sums that pass a mask
	inputs  [][]float32              // each lane's dropout(X) [thinTokens, thinCols]
	after   func(lane, from, to int) // After on some rows; nil: none
}

// returned is a part of a backprop.
type returned struct {
	*bindings.PartBackward
	weight  kernels.Operand
	dy      panels    // DY; of a decomposed part without dropout H
	change  panels    // H - DY of one with dropout
	up      panels    // the packed Bᵀ
	u       []float32 // [chunk, rank]
	packed  panels    // U
	xa      []float32 // Scale·XA, [chunk, rank]
	gain    []float32 // Magnitude/Norms
	dropout bool
}

// The adapters' gradients are computed thinCols columns at a time, from thinTokens tokens
// of X or DY that are summed together.
const thinCols, thinTokens = 128, 256

func newBackprop(p *profile, op *bindings.ProjectBackward, s *scratch) *backprop {
	f := p.families.of(op.X.DType)
	depth := 0
	for i := range op.Parts {
		depth += op.Parts[i].Linear.Weight.Out
	}
	c := &backprop{op: op, family: f, chunk: chunkOf(f, op.X.Rows, depth), parts: make([]returned, len(op.Parts))}
	c.size = p.cutOf(f, c.chunk, op.X.Cols)
	computed, rank, dropout := false, 0, false
	for i := range op.Parts {
		t := &c.parts[i]
		t.lay(p, c, &op.Parts[i], s)
		if a := t.Linear.Adapter; a != nil {
			rank, dropout = max(rank, a.Rank()), dropout || t.dropout
		}
		computed = computed || t.gain != nil || isDecomposed(t.Linear)
	}
	c.workers = p.workers(f, s, mostOf(f, c.chunk), computed)
	c.thin = lanes(p, s, rank*max(blockMost(f), thinCols))
	if dropout {
		most := mostOf(f, c.chunk)
		c.masked = lanes(p, s, most.rows*most.cols)
		c.inputs = lanes(p, s, thinTokens*thinCols)
	}
	switch after := op.After.(type) {
	case *bindings.ActivateBackward:
		c.after = newActivateBackward(p, after, s).runIn
	case *bindings.NormBackward:
		c.after = newNormBackward(p, after, s).runIn
	}
	return c
}

// pulls reports whether the part's U is computed.
func (t *returned) pulls(c *backprop) bool {
	return t.Linear.Adapter != nil && (!c.op.DX.Absent() || !t.DA.Absent())
}

// lay allocates a part's scratch.
func (t *returned) lay(p *profile, c *backprop, part *bindings.PartBackward, s *scratch) {
	t.PartBackward = part
	l := part.Linear
	if !s.plan {
		t.weight = operandOfWeight(&l.Weight)
	}
	t.dropout = l.Adapter != nil && drops(c.op.Random, l.Adapter)
	if !c.op.DX.Absent() || t.pulls(c) {
		t.dy = leftPanels(c.family, s, c.chunk, l.Weight.Out)
	}
	if !t.pulls(c) {
		return
	}
	rank := l.Adapter.Rank()
	if isDecomposed(l) {
		t.gain = s.take(l.Weight.Out)
		if t.dropout {
			t.change = leftPanels(c.family, s, c.chunk, l.Weight.Out)
		}
	}
	t.up = rightPanels(c.family, s, rank, l.Weight.Out)
	t.u, t.packed = s.take(c.chunk*rank), leftPanels(c.family, s, c.chunk, rank)
	if !part.DA.Absent() {
		t.xa = s.take(c.chunk * rank)
	}
}

// run computes the gradients chunk by chunk.
func (c *backprop) run(d *Device) {
	for i := range c.parts {
		t := &c.parts[i]
		if t.gain != nil {
			gains(t.gain, t.Linear.Adapter)
		}
		if t.pulls(c) {
			up, width, rank := operandOf(t.Linear.Adapter.B).T(), c.family.Info().Cols, t.Linear.Adapter.Rank()
			d.parallel(tiles(rank, width), func(lane, i int) {
				c.workers[lane].pack(&t.up, &up, i*width, min(width, rank-i*width), 1)
			})
		}
	}
	var pieces []piece
	for first := 0; first < c.op.X.Rows; first += c.chunk {
		n := min(c.chunk, c.op.X.Rows-first)
		block := d.blockOf(c.family, n)
		d.parallel(tiles(n, block), func(lane, i int) {
			row := i * block
			for p := range c.parts {
				c.pack(lane, &c.parts[p], first, row, min(block, n-row))
			}
		})
		pieces = c.pieces(pieces[:0], n)
		late := pieces[len(pieces):]
		if c.after != nil {
			pieces, late = c.untilAfter(pieces)
		}
		d.parallel(len(pieces), func(lane, i int) { c.compute(lane, first, &pieces[i]) })
		if c.after != nil {
			d.between(first, first+n, c.op.X.Cols, c.after)
			d.parallel(len(late), func(lane, i int) { c.compute(lane, first, &late[i]) })
		}
	}
}

// untilAfter divides pieces into those that are computed before After and those that read
// what it leaves in X, the gradients of A.
func (c *backprop) untilAfter(all []piece) (before, late []piece) {
	downs := func(p piece) bool { return p.part >= 0 && p.part < len(c.parts) }
	slices.SortStableFunc(all, func(a, b piece) int {
		switch {
		case downs(a) == downs(b):
			return 0
		case downs(a):
			return 1
		}
		return -1
	})
	n := slices.IndexFunc(all, downs)
	if n < 0 {
		n = len(all)
	}
	return all[:n], all[n:]
}

func (c *backprop) compute(lane, first int, at *piece) {
	switch {
	case at.part < 0:
		c.input(lane, first, at)
	case at.part < len(c.parts):
		c.down(lane, first, at)
	default:
		c.up(lane, first, at)
	}
}

// pieces appends the pieces of a chunk of n tokens: of DX, with part -1, of each part's
// DA, and of each part's DB, with the part's number plus that of all parts.
func (c *backprop) pieces(all []piece, n int) []piece {
	if !c.op.DX.Absent() {
		all = c.size.pieces(all, c.family.Info(), -1, n, c.op.X.Cols)
	}
	for i := range c.parts {
		t := &c.parts[i]
		if t.DA.Absent() {
			continue
		}
		for kind, cols := range [...]int{c.op.X.Cols, t.DY.Cols} {
			for col := 0; col < cols; col += thinCols {
				all = append(all, piece{part: i + kind*len(c.parts), rows: n, col: col, cols: min(thinCols, cols-col)})
			}
		}
	}
	return all
}

// pack packs n rows of a part's DY from row on of the chunk that begins at token first,
// and its U.
func (c *backprop) pack(lane int, t *returned, first, row, n int) {
	w := &c.workers[lane]
	switch {
	case t.dy.depth == 0:
		return
	case t.gain == nil:
		dy := operandOf(t.DY).At(first, 0)
		w.pack(&t.dy, &dy, row, n, 1)
	case !t.dropout:
		w.packGained(&t.dy, t, first, row, n, false)
	default:
		dy := operandOf(t.DY).At(first, 0)
		w.pack(&t.dy, &dy, row, n, 1)
		w.packGained(&t.change, t, first, row, n, true)
	}
	if !t.pulls(c) {
		return
	}
	a := t.Linear.Adapter
	rank := a.Rank()
	u := t.u[row*rank : (row+n)*rank]
	w.packed(u, rank, &t.dy, row, n, &t.up, 0, rank, false)
	if t.change.depth > 0 {
		w.packed(u, rank, &t.change, row, n, &t.up, 0, rank, true)
	}
	vector.Scale(u, a.Scale)
	o := floatOperand(t.u, rank)
	w.pack(&t.packed, &o, row, n, 1)
	if t.xa != nil {
		xa := t.xa[row*rank : (row+n)*rank]
		vector.Convert(vector.Floats(xa, n, rank, rank), rowsOf(t.XA).Slice(first+row, first+row+n))
		vector.Scale(xa, a.Scale)
	}
}

// packGained packs n rows of a part's H = G·DY, or of H - DY.
func (w *worker) packGained(p *panels, t *returned, first, row, n int, change bool) {
	step := sliceOf(w.family)
	for k := 0; k < p.depth; k += step {
		depth := min(step, p.depth-k)
		x := rowsAt(t.DY, first+row, n, k, depth)
		vector.Convert(vector.Floats(w.values, n, depth, depth), x)
		gain := t.gain[k : k+depth]
		for at := 0; at < n*depth; at += depth {
			dy := w.values[at : at+depth]
			if change {
				for i, g := range gain {
					dy[i] *= g - 1
				}
			} else {
				vector.Mask(dy, dy, gain)
			}
		}
		w.operand = floatOperand(w.values, depth)
		w.family.PackLeft(p.at(row, k, depth), &w.operand, n, depth, 1)
	}
}

// input computes a piece of DX.
func (c *backprop) input(lane, first int, at *piece) {
	w := &c.workers[lane]
	for i := range c.parts {
		t := &c.parts[i]
		weight := t.weight.T().At(at.col, 0)
		a := t.Linear.Adapter
		switch {
		case !t.dropout:
			w.multiply(at, &weight, factor{&t.dy, w.sums, i > 0})
			if a != nil {
				down := operandOf(a.A).T().At(at.col, 0)
				w.multiply(at, &down, factor{&t.packed, w.sums, true})
			}
			continue
		case t.change.depth > 0:
			w.multiply(at, &weight, factor{&t.dy, w.sums, i > 0}, factor{&t.change, c.masked[lane], false})
		default:
			w.multiply(at, &weight, factor{&t.dy, w.sums, i > 0})
		}
		down := operandOf(a.A).T().At(at.col, 0)
		w.multiply(at, &down, factor{&t.packed, c.masked[lane], t.change.depth > 0})
		mask := maskOf(c.op.Random, a)
		mask.DropAdd(w.sums, at.cols, vector.Floats(c.masked[lane], at.rows, at.cols, at.cols), first+at.row, at.col)
	}
	dx := rowsAt(c.op.DX, first+at.row, at.rows, at.col, at.cols)
	var e vector.Epilogue
	if c.op.Accumulate {
		e.Residual = dx
	}
	vector.Store(dx, w.sums, at.cols, &e)
}

// down adds the chunk's share of some columns of DA, Uᵀ·dropout(X).
func (c *backprop) down(lane, first int, at *piece) {
	t := &c.parts[at.part]
	a := t.Linear.Adapter
	da := f32(t.DA)[at.col:]
	c.eachThin(at.rows, func(from, n int) {
		x := rowsAt(c.op.X, first+from, n, at.col, at.cols)
		if t.dropout {
			mask, values := maskOf(c.op.Random, a), c.inputs[lane]
			mask.Drop(values, at.cols, x, first+from, at.col)
			x = vector.Floats(values, n, at.cols, at.cols)
		}
		vector.Thin(da, t.DA.Cols, t.u[from*a.Rank():], a.Rank(), x)
	})
}

// up adds the chunk's share of some rows of DB, Scale·DYᵀ·XA, or that of H.
func (c *backprop) up(lane, first int, at *piece) {
	t := &c.parts[at.part-len(c.parts)]
	rank := t.Linear.Adapter.Rank()
	sums := c.thin[lane][:rank*at.cols]
	clear(sums)
	c.eachThin(at.rows, func(from, n int) {
		vector.Thin(sums, at.cols, t.xa[from*rank:], rank, rowsAt(t.DY, first+from, n, at.col, at.cols))
	})
	db := f32(t.DB)[at.col*rank:]
	for r := range rank {
		row := sums[r*at.cols : (r+1)*at.cols]
		if t.gain != nil {
			vector.Mask(row, row, t.gain[at.col:at.col+at.cols])
		}
		for i, v := range row {
			db[i*rank+r] += v
		}
	}
}

// eachThin calls do for each thinTokens tokens of a chunk of rows.
func (c *backprop) eachThin(rows int, do func(from, n int)) {
	for from := 0; from < rows; from += thinTokens {
		do(from, min(thinTokens, rows-from))
	}
}
