package cpu

import (
	"math"

	"qlora/bindings"
)

// rowNorms adds the update to the weight slab by slab. It sums squares in float64.
func (d *Device) rowNorms(op *bindings.RowNorms) {
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

// rowNormsFloats returns the scratch in floats: a slab, also for a float32 weight, as the
// update is added to a copy.
func rowNormsFloats(_ *profile, op *bindings.RowNorms) int {
	w := &op.Linear.Weight
	return padded(slabRows(w) * w.In)
}
