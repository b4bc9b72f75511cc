package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

type normBackwardJob struct {
	dx, x, dy, again vector.Rows
	gain             vector.Gain
	means, rstd      []float32 // nil: computed again
	centered         bool
	eps              float32
	accumulate       bool
	lanes            [][]float32 // each lane's rows of again and their statistics; nil: not wanted
}

func (j normBackwardJob) run(from, to int) {
	vector.NormBackward(j.dx.Slice(from, to), j.x.Slice(from, to), j.dy.Slice(from, to), j.gain.Weight, from, part(j.means, from, to), j.rstd[from:to], j.accumulate)
}

// runIn runs on a lane: it normalizes the rows again, in the lane's scratch until dy has been
// read.
func (j normBackwardJob) runIn(lane, from, to int) {
	n, cols := to-from, j.x.Cols()
	if j.lanes == nil {
		j.run(from, to)
		return
	}
	rstd, means, y := j.lanes[lane][:n], j.lanes[lane][n:2*n], j.lanes[lane][2*n:]
	if !j.centered {
		means = nil
	}
	x, rows := j.x.Slice(from, to), vector.Floats(y, n, cols, cols)
	vector.Convert(rows, x)
	vector.Norm(rows, rows, j.gain, from, j.centered, j.eps, means, rstd)
	vector.NormBackward(j.dx.Slice(from, to), x, j.dy.Slice(from, to), j.gain.Weight, from, means, rstd, j.accumulate)
	if j.again.Count() > 0 {
		vector.Convert(j.again.Slice(from, to), rows)
	}
}

func newNormBackward(p *profile, op *bindings.NormBackward, s *scratch) normBackwardJob {
	var j normBackwardJob
	if s.plan {
		s.used += parameterFloats(&op.Norm)
	} else {
		j = normBackwardJob{
			dx: rowsOf(op.DX), x: rowsOf(op.X), dy: rowsOf(op.DY), again: rowsOf(op.Again),
			gain:  vector.Gain{Weight: normWeights(&op.Norm, s), Bias: normBiases(&op.Norm, s)},
			means: orNil(op.Mean), rstd: orNil(op.RStd), centered: op.Centered, eps: op.Eps, accumulate: op.Accumulate,
		}
	}
	if !op.Again.Absent() || op.RStd.Absent() {
		j.lanes = lanes(p, s, rowsAtOnce(op.X.Cols)*(op.X.Cols+2))
	}
	return j
}

// normBackward sums over a row, and the gradients of weight and bias over the rows, in
// float64.
func (d *Device) normBackward(op *bindings.NormBackward) {
	s := scratchOf(d.workspace)
	j := newNormBackward(&d.profile, op, &s)
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
	if j.lanes == nil {
		split(d, op.X.Rows, op.X.Cols, j)
		return
	}
	d.between(0, op.X.Rows, op.X.Cols, j.runIn)
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

func normBackwardFloats(p *profile, op *bindings.NormBackward) int {
	return planned(func(s *scratch) { newNormBackward(p, op, s) })
}
