package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
)

// normedLines is the number of rows of the weight per goroutine and turn.
const normedLines = 32

// A rowNorm is the state of a RowNorms. It computes in float32 for either type of
// activations: Norms have float32's precision.
type rowNorm struct {
	op      *bindings.RowNorms
	family  kernels.Family
	down    panels // Aᵀ, [in, rank]
	up      []panels
	rows    [][]float32 // each lane's rows of W + Scale·B·A
	workers []worker
}

func newRowNorm(p *profile, op *bindings.RowNorms, s *scratch) *rowNorm {
	w, rank := &op.Linear.Weight, op.Linear.Adapter.Rank()
	c := &rowNorm{op: op, family: p.families.of(bindings.F32)}
	c.down = rightPanels(c.family, s, w.In, rank)
	c.rows = lanes(p, s, normedLines*w.In)
	c.workers = make([]worker, p.threads)
	for i := range c.workers {
		c.workers[i].family = c.family
		c.up = append(c.up, leftPanels(c.family, s, normedLines, rank))
	}
	return c
}

// rowNorms adds the update to the weight some rows at a time. It sums squares in float64.
func (d *Device) rowNorms(op *bindings.RowNorms) {
	s := scratchOf(d.workspace)
	c := newRowNorm(&d.profile, op, &s)
	w, a := &op.Linear.Weight, op.Linear.Adapter
	weight, down, up, norms := operandOfWeight(w), operandOf(a.A).T(), operandOf(a.B), f32(a.Norms)
	width := c.family.Info().Cols
	d.parallel(tiles(w.In, width), func(lane, i int) {
		c.workers[lane].pack(&c.down, &down, i*width, min(width, w.In-i*width), 1)
	})
	d.parallel(tiles(w.Out, normedLines), func(lane, i int) {
		first := i * normedLines
		n := min(normedLines, w.Out-first)
		rows, worker := c.rows[lane], &c.workers[lane]
		for j := range n {
			kernels.Expand(rows[j*w.In:(j+1)*w.In], &weight, first+j, 0)
		}
		lines := up.At(first, 0)
		worker.pack(&c.up[lane], &lines, 0, n, a.Scale)
		worker.packed(rows, w.In, &c.up[lane], 0, n, &c.down, 0, w.In, true)
		for j := range n {
			row := rows[j*w.In : (j+1)*w.In]
			norms[first+j] = float32(math.Sqrt(dot(row, row)))
		}
	})
}

// rowNormsFloats returns the scratch in floats.
func rowNormsFloats(p *profile, op *bindings.RowNorms) int {
	return planned(func(s *scratch) { newRowNorm(p, op, s) })
}
