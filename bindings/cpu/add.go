package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// addBlock is the number of elements of a row that are added, and their dropout factors
// drawn, at a time.
const addBlock = 512

func (d *Device) add(op *bindings.Add) {
	x, y := f32(op.X), f32(op.Y)
	if op.Residual.Absent() {
		d.factored(op.X, op.Scale, op.Dropout, op.Stream, op.Random, func(from, to int, factors []float32) {
			vector.Mask(y[from:to], x[from:to], factors)
		})
		return
	}
	residual := f32(op.Residual)
	d.factored(op.X, op.Scale, op.Dropout, op.Stream, op.Random, func(from, to int, factors []float32) {
		out, r, factors := y[from:to], residual[from:to], factors[:to-from]
		for i, v := range x[from:to] {
			out[i] = r[i] + v*factors[i]
		}
	})
}

func (d *Device) addBackward(op *bindings.AddBackward) {
	dy, dx := f32(op.DY), f32(op.DX)
	d.factored(op.DY, op.Scale, op.Dropout, op.Stream, op.Random, func(from, to int, factors []float32) {
		vector.Mask(dx[from:to], dy[from:to], factors)
	})
}

// factored calls do with pieces of t's rows, the elements [from, to), and a factor for
// each element: scale times the dropout factor.
func (d *Device) factored(t bindings.Tensor, scale, dropout float32, stream uint32, random bindings.Random, do func(from, to int, factors []float32)) {
	scale = orOne(scale)
	drops := random.Train && dropout > 0
	mask := vector.NewDropout(random.Seed, stream, random.Step, dropout)
	across := tiles(t.Cols, addBlock)
	d.rows(t.Rows*across, 16, func(first, last int) {
		var block [addBlock]float32
		for i := range block {
			block[i] = scale
		}
		for i := first; i < last; i++ {
			row, col := i/across, i%across*addBlock
			factors := block[:min(addBlock, t.Cols-col)]
			if drops {
				mask.FactorsFrom(factors, row, col)
				vector.Scale(factors, scale)
			}
			do(row*t.Cols+col, row*t.Cols+col+len(factors), factors)
		}
	})
}
