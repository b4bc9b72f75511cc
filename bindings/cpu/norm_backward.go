package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

type normBackwardJob struct {
	dx, x, dy           vector.Rows
	weight, means, rstd []float32
	accumulate          bool
}

func (j normBackwardJob) run(from, to int) {
	vector.NormBackward(j.dx.Slice(from, to), j.x.Slice(from, to), j.dy.Slice(from, to), j.weight, from, part(j.means, from, to), j.rstd[from:to], j.accumulate)
}

// normBackward sums over a row, and the gradients of weight and bias over the rows, in
// float64.
func (d *Device) normBackward(op *bindings.NormBackward) {
	s := scratchOf(d.workspace)
	j := normBackwardJob{
		dx: rowsOf(op.DX), x: rowsOf(op.X), dy: rowsOf(op.DY),
		weight: normWeights(&op.Norm, &s), means: orNil(op.Mean), rstd: f32(op.RStd), accumulate: op.Accumulate,
	}
	if !op.DWeight.Absent() {
		d.normWeightBackward(op.DWeight, j)
	}
	if !op.DBias.Absent() {
		cols := op.X.Cols
		turns := op.DBias.Len() / cols
		for i := range turns {
			d.addRows(f32(op.DBias)[i*cols:(i+1)*cols], j.dy.Every(i, turns))
		}
	}
	split(d, op.X.Rows, op.X.Cols, j)
}

// sumColumns is the number of columns that one goroutine sums at a time.
const sumColumns = 128

// normWeightBackward computes DWeight += sum over the rows of each turn of
// DY·(X-Mean)·RStd.
func (d *Device) normWeightBackward(dWeight bindings.Tensor, j normBackwardJob) {
	dw, cols := f32(dWeight), j.x.Cols()
	turns, across := len(dw)/cols, tiles(cols, sumColumns)
	d.parallel(turns*across, func(_, piece int) {
		turn, from := piece/across, piece%across*sumColumns
		to := min(cols, from+sumColumns)
		x, dy := j.x.Every(turn, turns).Columns(from, to), j.dy.Every(turn, turns).Columns(from, to)
		vector.NormWeightBackward(dw[turn*cols+from:turn*cols+to], x, dy, part(j.means, turn, len(j.means)), j.rstd[turn:], turns)
	})
}

// addRows adds the sum of the rows of x, which is in float64, to dst.
func (d *Device) addRows(dst []float32, x vector.Rows) {
	d.rows(len(dst), sumColumns, func(from, to int) { vector.AddRows(dst[from:to], x.Columns(from, to)) })
}

func normBackwardFloats(_ *profile, op *bindings.NormBackward) int { return normWeightFloats(&op.Norm) }
