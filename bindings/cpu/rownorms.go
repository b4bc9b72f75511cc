package cpu

import (
	"math"

	"qlora/bindings"
)

// RowNorms adds the update to the weight slab by slab. Squares are summed in
// float64.
func (d *Device) RowNorms(op *bindings.RowNorms) {
	if !d.ready(floatRowNorms(op), op) {
		return
	}
	w, a := &op.Linear.Weight, op.Linear.Adapter
	rank := a.Rank()
	down, up, norms := dense(f32(a.A), w.In), dense(f32(a.B), rank), f32(a.Norms)
	s := scratchOf(d.workspace)
	step := slabRows(w)
	slab := dense(s.take(step*w.In), w.In)
	for first := 0; first < w.Out; first += step {
		n := min(step, w.Out-first)
		d.expand(slab.data[:n*w.In], w, first*w.In)
		d.tiled(n, w.In, rank, a.Scale, up.row(first), down, 1, slab)
		d.rows(n, 16, func(from, to int) {
			for i := from; i < to; i++ {
				row := slab.data[i*w.In : (i+1)*w.In]
				norms[first+i] = float32(math.Sqrt(dot(row, row)))
			}
		})
	}
}

func floatRowNorms(op *bindings.RowNorms) error {
	if err := op.Check(); err != nil {
		return err
	}
	return floats(nil, op.Linear.Adapter.A)
}

// scratchRowNorms is the floats of a slab, also of a weight in float32: the
// update is added to a copy.
func scratchRowNorms(op *bindings.RowNorms) int {
	w := &op.Linear.Weight
	return padded(slabRows(w) * w.In)
}
