package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// projectTokens is the number of tokens in the adapters' scratch.
const projectTokens = 512

// An input is the input of projections with the random numbers of their adapters'
// dropout.
type input struct {
	x      bindings.Tensor
	random bindings.Random
}

// project expands each weight slab by slab, multiplies all tokens by the slab,
// and adds the adapters' thin products chunk by chunk.
func (d *Device) project(op *bindings.Project) {
	if isFew(op) {
		d.projectFew(op)
		return
	}
	in := input{op.X, op.Random}
	tokens := op.X.Rows
	x := dense(f32(op.X), op.X.Cols)
	for i := range op.Parts {
		p := &op.Parts[i]
		s := scratchOf(d.workspace)
		if isDecomposed(p.Linear) {
			d.decompose(in, p.Linear, &s).project(p, &s)
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
			d.adapt(in, p, s)
		}
	}
}

// start writes p's residual and bias to Y and returns the beta of the first product: 0 if
// both are absent.
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
func (d *Device) adapt(from input, p *bindings.Part, s scratch) {
	a := p.Linear.Adapter
	rank, in, out, tokens := a.Rank(), from.x.Cols, p.Y.Cols, from.x.Rows
	down, up := dense(f32(a.A), in), dense(f32(a.B), rank)
	chunk := min(tokens, projectTokens)
	var dropped, short []float32
	if from.drops(a) {
		dropped = s.take(chunk * in)
	}
	if p.XA.Absent() {
		short = s.take(chunk * rank)
	}
	for first := 0; first < tokens; first += chunk {
		n := min(chunk, tokens-first)
		x := matrixOf(from.x).row(first)
		if dropped != nil {
			d.drop(from, a, dropped, x.data, first, n)
			x = dense(dropped, in)
		}
		xa := dense(short, rank)
		if short == nil {
			xa = dense(f32(p.XA), rank).row(first)
		}
		d.tiled(n, rank, in, 1, x, down.t(), 0, xa)
		d.tiled(n, out, rank, a.Scale, xa, up.t(), 1, dense(f32(p.Y), out).row(first))
	}
}

// drops reports whether dropout applies to the adapter's input.
func (in input) drops(a *bindings.Adapter) bool { return in.random.Train && a.Dropout > 0 }

func (in input) mask(a *bindings.Adapter) vector.Dropout {
	return vector.NewDropout(in.random.Seed, a.Stream, in.random.Step, a.Dropout)
}

// drop writes dropout(x) of n tokens, from token first on, to dst.
func (d *Device) drop(from input, a *bindings.Adapter, dst, x []float32, first, n int) {
	m, in := from.mask(a), from.x.Cols
	d.rows(n, 16, func(from, to int) {
		for t := from; t < to; t++ {
			row := dst[t*in : (t+1)*in]
			m.Factors(row, first+t)
			vector.Mask(row, x[t*in:(t+1)*in], row)
		}
	})
}

// projectFloats returns the scratch of the largest part in floats; parts run one after
// the other.
func projectFloats(_ *profile, op *bindings.Project) int {
	if isFew(op) {
		return fewFloats(op)
	}
	need := 0
	in := input{op.X, op.Random}
	chunk := min(op.X.Rows, projectTokens)
	for i := range op.Parts {
		l := op.Parts[i].Linear
		n := padded(slabSize(&l.Weight))
		if a := l.Adapter; isDecomposed(l) {
			n = decompositionFloats(in, l)
			if op.Parts[i].XA.Absent() {
				n += padded(op.X.Rows * a.Rank())
			}
		} else if a != nil {
			if in.drops(a) {
				n += padded(chunk * l.Weight.In)
			}
			if op.Parts[i].XA.Absent() {
				n += padded(chunk * a.Rank())
			}
		}
		need = max(need, n)
	}
	return need
}
