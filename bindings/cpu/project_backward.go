package cpu

import "qlora/bindings"

// ProjectBackward expands each weight once, for DX. Parts are summed in order,
// all bases before all adapters.
func (d *Device) ProjectBackward(op *bindings.Project) {
	if !d.ready(floatProject(op.CheckBackward(), op), backward{op}) {
		return
	}
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
		if !op.DX.Absent() {
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
			d.sumRows(f32(p.DBias), f32(p.DY))
		}
	}
	for i := range op.Parts {
		if p := &op.Parts[i]; p.Linear.Adapter != nil {
			d.adaptBackward(op, p)
		}
	}
}

// adaptBackward is the adapter's share, a chunk of tokens at a time:
// U = Scale·DY·B, DA += Uᵀ·dropout(X), DB += Scale·DYᵀ·Low, DX += dropout'(U·A).
func (d *Device) adaptBackward(op *bindings.Project, p *bindings.Part) {
	a := p.Linear.Adapter
	rank, in, out, tokens := a.Rank(), op.X.Cols, p.DY.Cols, op.X.Rows
	down, up := dense(f32(a.A), in), dense(f32(a.B), rank)
	chunk := min(tokens, projectTokens)
	s := scratchOf(d.workspace)
	u := dense(s.take(chunk*rank), rank)
	var buffer []float32
	if drops(op, a) {
		buffer = s.take(chunk * in)
	}
	for from := 0; from < tokens; from += chunk {
		n := min(chunk, tokens-from)
		x, dy := dense(f32(op.X), in).row(from), dense(f32(p.DY), out).row(from)
		d.tiled(n, rank, out, a.Scale, dy, up, 0, u)
		if !p.DA.Absent() {
			if buffer != nil {
				d.drop(op, a, buffer, x.data, from, n, in)
				x = dense(buffer, in)
			}
			d.tiled(rank, in, n, 1, u.t(), x, 1, dense(f32(p.DA), in))
			d.tiled(out, rank, n, a.Scale, dy.t(), dense(f32(p.Low), rank).row(from), 1, dense(f32(p.DB), rank))
		}
		switch {
		case op.DX.Absent():
		case buffer == nil:
			d.tiled(n, in, rank, 1, u, down, 1, dense(f32(op.DX), in).row(from))
		default:
			d.tiled(n, in, rank, 1, u, down, 0, dense(buffer, in))
			d.drop(op, a, buffer, buffer, from, n, in)
			dx := f32(op.DX)[from*in : (from+n)*in]
			d.rows(len(dx), expandPiece, func(from, to int) { add(dx[from:to], buffer[from:to]) })
		}
	}
}

// sumRows adds the sum of the rows of y, each as long as dst, to dst; the sum is
// in float64.
func (d *Device) sumRows(dst, y []float32) {
	cols := len(dst)
	const width = 64
	d.rows(cols, width, func(from, to int) {
		var sum [width]float64
		for t := 0; t < len(y); t += cols {
			for j, v := range y[t+from : t+to] {
				sum[j] += float64(v)
			}
		}
		for j := range dst[from:to] {
			dst[from+j] += float32(sum[j])
		}
	})
}

// scratchProjectBackward is the floats that ProjectBackward takes: a slab of
// weights, or later an adapter's chunk of tokens, whichever is more.
func scratchProjectBackward(op *bindings.Project) int {
	need := 0
	chunk := min(op.X.Rows, projectTokens)
	for i := range op.Parts {
		l := op.Parts[i].Linear
		if !op.DX.Absent() {
			need = max(need, padded(slabSize(&l.Weight)))
		}
		if a := l.Adapter; a != nil {
			n := padded(chunk * a.Rank())
			if drops(op, a) {
				n += padded(chunk * l.Weight.In)
			}
			need = max(need, n)
		}
	}
	return need
}
