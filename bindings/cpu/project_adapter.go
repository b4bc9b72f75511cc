package cpu

import (
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// A thinInput is an input of adapters' products with A: X or dropout(X). Adapters without
// dropout share the product: their A's are stacked.
type thinInput struct {
	parts   []*projected
	ranks   int  // of all parts
	dropped bool // it is dropout(X), which only this product reads

	stack  kernels.Operand // [ranks, in], with several parts
	down   panels          // the packed A's
	blocks []panels        // dropped: each lane's packed rows
}

// thinInputs returns the inputs of the parts' adapters.
func (c *projection) thinInputs() []thinInput {
	var shared thinInput
	var all []thinInput
	for i := range c.parts {
		p := &c.parts[i]
		switch a := p.Linear.Adapter; {
		case a == nil:
		case drops(c.op.Random, a) && !c.dropped:
			all = append(all, thinInput{parts: []*projected{p}, ranks: a.Rank(), dropped: true})
		default:
			shared.parts, shared.ranks = append(shared.parts, p), shared.ranks+a.Rank()
		}
	}
	if shared.ranks > 0 {
		all = append(all, shared)
	}
	return all
}

// lay allocates t's scratch.
func (t *thinInput) lay(p *profile, c *projection, s *scratch) {
	in := c.op.X.Cols
	t.down = rightPanels(c.family, s, t.ranks, in)
	if len(t.parts) > 1 {
		t.stack = newOperand(s, c.op.X.DType, t.ranks, in)
	}
	if t.dropped {
		for range p.threads {
			t.blocks = append(t.blocks, leftPanels(c.family, s, blockMost(c.family), in))
		}
	}
}

// newOperand returns a [lines, depth] operand in s.
func newOperand(s *scratch, dtype bindings.DType, lines, depth int) kernels.Operand {
	b := s.bytes(lines * depth * int(dtype.Size()))
	return kernels.Operand{Type: dtype, Data: unsafe.Pointer(unsafe.SliceData(b)), Stride: depth}
}

// pack packs the A's.
func (t *thinInput) pack(d *Device, workers []worker) {
	a := operandOf(t.parts[0].Linear.Adapter.A)
	if len(t.parts) > 1 {
		a = t.stack
		line := 0
		for _, p := range t.parts {
			from := bytesOf(p.Linear.Adapter.A)
			copy(unsafe.Slice((*byte)(a.At(line, 0).Data), len(from)), from)
			line += p.Linear.Adapter.Rank()
		}
	}
	width := workers[0].family.Info().Cols
	d.parallel(tiles(t.ranks, width), func(lane, i int) {
		workers[lane].pack(&t.down, &a, i*width, min(width, t.ranks-i*width), 1)
	})
}

// multiply computes XA of n rows from row on of the chunk that begins at token first.
func (t *thinInput) multiply(c *projection, lane, first, row, n int) {
	w, left, line := &c.workers[lane], &c.x, row
	if t.dropped {
		left, line = &t.blocks[lane], 0
		mask := maskOf(c.op.Random, t.parts[0].Linear.Adapter)
		w.packDropped(left, 0, mask.Drop, rowsOf(c.op.X).Slice(first+row, first+row+n), first+row)
	}
	sums := c.thin[lane]
	w.packed(sums, t.ranks, left, line, n, &t.down, 0, t.ranks, false)
	for _, p := range t.parts {
		vector.Store(p.xaRows(first, row, n), sums, t.ranks, &vector.Epilogue{})
		sums = sums[p.Linear.Adapter.Rank():]
	}
}

// xaOperand returns the XA of the chunk that begins at token first.
func (p *projected) xaOperand(first int) kernels.Operand {
	if p.XA.Absent() {
		return p.short
	}
	return operandOf(p.XA).At(first, 0)
}

// xaRows returns n rows from row on of the chunk's XA.
func (p *projected) xaRows(first, row, n int) vector.Rows {
	o := p.xaOperand(first)
	return vector.RowsAt(o.At(row, 0).Data, types[o.Type], n, p.Linear.Adapter.Rank(), o.Stride)
}

// packDropped packs what draw, a method of a dropout, makes of the rows x, the first of
// which is row of the mask, from a line on.
func (w *worker) packDropped(p *panels, line int, draw func(dst []float32, stride int, x vector.Rows, row, column int), x vector.Rows, row int) {
	step := sliceOf(w.family)
	for k := 0; k < p.depth; k += step {
		depth := min(step, p.depth-k)
		draw(w.values, depth, x.Columns(k, k+depth), row, k)
		w.operand = floatOperand(w.values, depth)
		w.family.PackLeft(p.at(line, k, depth), &w.operand, x.Count(), depth, 1)
	}
}
