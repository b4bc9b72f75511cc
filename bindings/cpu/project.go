package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// projectTokens is how many tokens the adapters' scratch holds at a time.
const projectTokens = 512

// Project expands each weight slab by slab, multiplies all tokens by the slab,
// and adds the adapters' thin products chunk by chunk.
func (d *Device) Project(op *bindings.Project) {
	if !d.ready(floatProject(op.Check(), op), op) {
		return
	}
	tokens := op.X.Rows
	x := dense(f32(op.X), op.X.Cols)
	for i := range op.Parts {
		p := &op.Parts[i]
		s := scratchOf(d.workspace)
		if isDecomposed(p.Linear) {
			d.decompose(op, p, &s).project(&s)
			continue
		}
		w := &p.Linear.Weight
		y := dense(f32(p.Y), w.Out)
		slab := s.take(slabSize(w))
		beta := d.start(p)
		d.slabs(w, slab, func(from, to int, rows matrix) {
			d.tiled(tokens, to-from, w.In, 1, x, rows.t(), beta, y.col(from))
		})
		if p.Linear.Adapter != nil {
			d.adapt(op, p, s)
		}
	}
}

// start writes what the products of p are added to, its residual and bias, to Y
// and is the beta to add them with: 0 where there is neither.
func (d *Device) start(p *bindings.Part) float32 {
	bias := p.Linear.Bias
	if p.Residual.Absent() && bias.Absent() {
		return 0
	}
	y := f32(p.Y)
	cols := p.Y.Cols
	d.rows(p.Y.Rows, 64, func(from, to int) {
		for t := from; t < to; t++ {
			row := y[t*cols : (t+1)*cols]
			if p.Residual.Absent() {
				widen(row, bias, 0)
				continue
			}
			if r := f32(p.Residual)[t*cols : (t+1)*cols]; &r[0] != &row[0] {
				copy(row, r)
			}
			if !bias.Absent() {
				addWidened(row, bias, 0)
			}
		}
	})
	return 1
}

// adapt adds Scale·(dropout(X)·Aᵀ)·Bᵀ to p's Y.
func (d *Device) adapt(op *bindings.Project, p *bindings.Part, s scratch) {
	a := p.Linear.Adapter
	rank, in, out, tokens := a.Rank(), op.X.Cols, p.Y.Cols, op.X.Rows
	down, up := dense(f32(a.A), in), dense(f32(a.B), rank)
	chunk := min(tokens, projectTokens)
	var dropped, short []float32
	if drops(op, a) {
		dropped = s.take(chunk * in)
	}
	if p.Low.Absent() {
		short = s.take(chunk * rank)
	}
	for from := 0; from < tokens; from += chunk {
		n := min(chunk, tokens-from)
		x := dense(f32(op.X), in).row(from)
		if dropped != nil {
			d.drop(op, a, dropped, x.data, from, n, in)
			x = dense(dropped, in)
		}
		low := dense(short, rank)
		if short == nil {
			low = dense(f32(p.Low), rank).row(from)
		}
		d.tiled(n, rank, in, 1, x, down.t(), 0, low)
		d.tiled(n, out, rank, a.Scale, low, up.t(), 1, dense(f32(p.Y), out).row(from))
	}
}

// drops reports whether anything of the adapter's input is dropped.
func drops(op *bindings.Project, a *bindings.Adapter) bool { return op.Random.Train && a.Dropout > 0 }

func mask(op *bindings.Project, a *bindings.Adapter) vector.Dropout {
	return vector.NewDropout(op.Random.Seed, a.Stream, op.Random.Step, a.Dropout)
}

// drop writes dropout(x) of n tokens, the first of which is token first, to dst.
func (d *Device) drop(op *bindings.Project, a *bindings.Adapter, dst, x []float32, first, n, in int) {
	m := mask(op, a)
	d.rows(n, 16, func(from, to int) {
		for t := from; t < to; t++ {
			row := dst[t*in : (t+1)*in]
			m.Factors(row, first+t)
			vector.Mask(row, x[t*in:(t+1)*in], row)
		}
	})
}

func floatProject(err error, op *bindings.Project) error {
	err = floats(err, op.X)
	for i := range op.Parts {
		if err == nil && op.Parts[i].Linear.Adapter != nil {
			err = floats(nil, op.Parts[i].Linear.Adapter.A)
		}
	}
	return err
}

// scratchProject is the floats that Project takes: the largest part's, as the
// parts go one after the other.
func scratchProject(op *bindings.Project) int {
	need := 0
	chunk := min(op.X.Rows, projectTokens)
	for i := range op.Parts {
		l := op.Parts[i].Linear
		n := padded(slabSize(&l.Weight))
		if a := l.Adapter; isDecomposed(l) {
			n = scratchDecomposition(op, l)
			if op.Parts[i].Low.Absent() {
				n += padded(op.X.Rows * a.Rank())
			}
		} else if a != nil {
			if drops(op, a) {
				n += padded(chunk * l.Weight.In)
			}
			if op.Parts[i].Low.Absent() {
				n += padded(chunk * a.Rank())
			}
		}
		need = max(need, n)
	}
	return need
}
