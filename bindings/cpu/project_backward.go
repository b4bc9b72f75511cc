package cpu

import (
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// projectBackward expands each weight once, for DX. It sums the parts in order, all bases
// before all adapters; a part with a magnitude is one sum.
func (d *Device) projectBackward(op *bindings.ProjectBackward) {
	tokens, in := op.X.Rows, op.X.Cols
	x := dense(f32(op.X), in)
	var beta float32
	if op.Accumulate {
		beta = 1
	}
	for i := range op.Parts {
		p := &op.Parts[i]
		w := &p.Linear.Weight
		dy := dense(f32(p.DY), w.Out)
		switch {
		case isDecomposed(p.Linear):
			s := scratchOf(d.workspace)
			d.decompose(input{op.X, op.Random}, p.Linear, &s).backward(op, p, &s, beta)
			beta = 1
		case !op.DX.Absent():
			s := scratchOf(d.workspace)
			d.slabs(w, s.take(slabSize(w)), func(from, to int, rows matrix) {
				d.tiled(tokens, in, to-from, 1, dy.col(from), rows, beta, dense(f32(op.DX), in))
				beta = 1
			})
		}
		if !p.DWeight.Absent() {
			d.tiled(w.Out, in, tokens, 1, dy.t(), x, 1, dense(f32(p.DWeight), in))
		}
		if !p.DBias.Absent() {
			d.sumRows(f32(p.DBias), f32(p.DY), w.Out)
		}
	}
	for i := range op.Parts {
		if p := &op.Parts[i]; p.Linear.Adapter != nil && !isDecomposed(p.Linear) {
			d.adaptBackward(op, p)
		}
	}
}

// adaptBackward computes the adapter's gradients, a chunk of tokens at a time:
// U = Scale·DY·B, DA += Uᵀ·dropout(X), DB += Scale·DYᵀ·XA, DX += dropout'(U·A).
func (d *Device) adaptBackward(op *bindings.ProjectBackward, p *bindings.PartBackward) {
	a := p.Linear.Adapter
	rank, in, out, tokens := a.Rank(), op.X.Cols, p.DY.Cols, op.X.Rows
	up := dense(f32(a.B), rank)
	chunk := min(tokens, projectTokens)
	s := scratchOf(d.workspace)
	u := dense(s.take(chunk*rank), rank)
	var dropped, through []float32
	if (input{op.X, op.Random}).drops(a) {
		dropped, through = s.take(chunk*in), s.take(chunk*in)
	}
	for from := 0; from < tokens; from += chunk {
		n := min(chunk, tokens-from)
		dy := dense(f32(p.DY), out).row(from)
		d.tiled(n, rank, out, a.Scale, dy, up, 0, u)
		d.pull(op, p, u, from, n, dropped, through)
		if !p.DB.Absent() {
			d.tiled(out, rank, n, a.Scale, dy.t(), dense(f32(p.XA), rank).row(from), 1, dense(f32(p.DB), rank))
		}
	}
}

// pull computes DX += dropout'(U·A) and DA += Uᵀ·dropout(X) for n tokens from token from
// on.
func (d *Device) pull(op *bindings.ProjectBackward, p *bindings.PartBackward, u matrix, from, n int, dropped, through []float32) {
	a := p.Linear.Adapter
	rank, in := a.Rank(), op.X.Cols
	down, x := dense(f32(a.A), in), dense(f32(op.X), in).row(from)
	switch {
	case dropped != nil:
		if !op.DX.Absent() {
			d.tiled(n, in, rank, 1, u, down, 0, dense(through, in))
		}
		d.dropBackward(op, a, dropped, through, from, n)
		x = dense(dropped, in)
	case !op.DX.Absent():
		d.tiled(n, in, rank, 1, u, down, 1, dense(f32(op.DX), in).row(from))
	}
	if !p.DA.Absent() {
		d.tiled(rank, in, n, 1, u.t(), x, 1, dense(f32(p.DA), in))
	}
}

// dropBackward draws the masks of n tokens once for both uses: dropped becomes
// dropout(X), and the masked through is added to DX.
func (d *Device) dropBackward(op *bindings.ProjectBackward, a *bindings.Adapter, dropped, through []float32, first, n int) {
	m := input{op.X, op.Random}.mask(a)
	in := op.X.Cols
	d.rows(n, 16, func(from, to int) {
		for t := from; t < to; t++ {
			factors := dropped[t*in : (t+1)*in]
			m.Factors(factors, first+t)
			at := (first + t) * in
			if !op.DX.Absent() {
				vector.AddMask(f32(op.DX)[at:at+in], through[t*in:(t+1)*in], factors)
			}
			vector.Mask(factors, f32(op.X)[at:at+in], factors)
		}
	})
}

// sumRows adds the sum of the rows of y, stride elements apart and each as long as dst,
// to dst.
func (d *Device) sumRows(dst, y []float32, stride int) {
	if len(y) == 0 {
		return
	}
	count := (len(y)-len(dst))/stride + 1
	d.addRows(dst, vector.RowsAt(unsafe.Pointer(unsafe.SliceData(y)), vector.F32, count, len(dst), stride))
}

// projectBackwardFloats returns the scratch in floats: the larger of a slab of weights and
// an adapter's chunk of tokens. With a magnitude both are in use together.
func projectBackwardFloats(_ *profile, op *bindings.ProjectBackward) int {
	need := 0
	in := input{op.X, op.Random}
	chunk := min(op.X.Rows, projectTokens)
	for i := range op.Parts {
		l := op.Parts[i].Linear
		if !op.DX.Absent() {
			need = max(need, padded(slabSize(&l.Weight)))
		}
		if a := l.Adapter; isDecomposed(l) {
			n := decompositionFloats(in, l) + padded(op.X.Rows*a.Rank())
			if in.drops(a) {
				n += padded(chunk * l.Weight.In)
			}
			need = max(need, n)
		} else if a != nil {
			n := padded(chunk * a.Rank())
			if in.drops(a) {
				n += 2 * padded(chunk*l.Weight.In)
			}
			need = max(need, n)
		}
	}
	return need
}
