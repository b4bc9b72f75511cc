package cpu

import (
	"math"

	"qlora/bindings"
)

// normRows is the number of rows of 64 columns per goroutine and turn.
const normRows = 64

// normPieceRows returns the number of rows of cols columns per goroutine and turn.
func normPieceRows(cols int) int { return max(1, normRows*1024/max(1, cols)/16) }

// norm computes mean and mean square in float64.
func (d *Device) norm(op *bindings.Norm) {
	cols := op.X.Cols
	x, y := f32(op.X), f32(op.Y)
	var means, rstd []float32
	if !op.RStd.Absent() {
		rstd = f32(op.RStd)
	}
	if !op.Mean.Absent() {
		means = f32(op.Mean)
	}
	s := scratchOf(d.workspace)
	weights, biases := d.normWeights(op, &s), d.normBiases(op, &s)
	d.rows(op.X.Rows, normPieceRows(cols), func(from, to int) {
		for t := from; t < to; t++ {
			row, out := x[t*cols:(t+1)*cols], y[t*cols:(t+1)*cols]
			var mean, square float64
			if op.Centered {
				mean, square = deviations(row)
			} else {
				square = dot(row, row)
			}
			r := float32(1 / math.Sqrt(square/float64(cols)+float64(op.Eps)))
			if rstd != nil {
				rstd[t] = r
			}
			if means != nil {
				means[t] = float32(mean)
			}
			w := turn(weights, t, cols)[:len(row)]
			if op.Centered {
				center(out, row, w, float32(mean), r)
			} else {
				for j, v := range row {
					out[j] = v * r * w[j]
				}
			}
			if biases != nil {
				add(out, turn(biases, t, cols))
			}
		}
	})
}

// center computes out = (x - mean)·r·w.
func center(out, x, w []float32, mean, r float32) {
	out, w = out[:len(x)], w[:len(x)]
	for j, v := range x {
		out[j] = (v - mean) * r * w[j]
	}
}

// deviations returns the mean of x and the sum of its squared deviations from it.
func deviations(x []float32) (mean, square float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, square
}

// turn returns the row of a parameter for row t of X.
func turn(parameter []float32, t, cols int) []float32 {
	at := t * cols % len(parameter)
	return parameter[at : at+cols]
}

// normBackward sums over a row, and the gradients of weight and bias over the rows, in
// float64.
func (d *Device) normBackward(op *bindings.NormBackward) {
	cols := op.X.Cols
	x, dy, dx, rstd := f32(op.X), f32(op.DY), f32(op.DX), f32(op.RStd)
	s := scratchOf(d.workspace)
	weights := d.normWeights(&op.Norm, &s)
	var means []float32
	if op.Centered {
		means = f32(op.Mean)
	}
	if !op.DWeight.Absent() {
		d.normWeightBackward(op, means)
	}
	if !op.DBias.Absent() {
		for i := range op.DBias.Rows {
			d.sumRows(f32(op.DBias)[i*cols:(i+1)*cols], dy[i*cols:], op.DBias.Len())
		}
	}
	d.rows(op.X.Rows, normPieceRows(cols), func(from, to int) {
		for t := from; t < to; t++ {
			row := x[t*cols : (t+1)*cols]
			g, out, weights := dy[t*cols : (t+1)*cols][:len(row)], dx[t*cols : (t+1)*cols][:len(row)], turn(weights, t, cols)[:len(row)]
			r := rstd[t]
			if op.Centered {
				centerBackward(out, row, g, weights, means[t], r, op.Accumulate)
				continue
			}
			var sum float64
			for j, v := range row {
				sum += float64(g[j]*weights[j]) * float64(v)
			}
			// The factor on X: the mean of g·X times RStd².
			c := float32(sum / float64(cols) * float64(r) * float64(r))
			if op.Accumulate {
				for j, v := range row {
					out[j] += r * (g[j]*weights[j] - v*c)
				}
			} else {
				for j, v := range row {
					out[j] = r * (g[j]*weights[j] - v*c)
				}
			}
		}
	})
}

// centerBackward computes dx (+)= r·(g - mean(g) - n·mean(g·n)) with g = dy·w.
func centerBackward(dx, x, dy, w []float32, mean, r float32, accumulate bool) {
	var sum, moment float64
	for j, v := range x {
		g := float64(dy[j] * w[j])
		sum += g
		moment += g * float64(v-mean)
	}
	cols := float64(len(x))
	average, c := float32(sum/cols), float32(moment/cols*float64(r)*float64(r))
	for j, v := range x {
		change := r * (dy[j]*w[j] - average - (v-mean)*c)
		if accumulate {
			change += dx[j]
		}
		dx[j] = change
	}
}

// normWeightBackward computes DWeight += sum over the rows of each turn of
// DY·(X-Mean)·RStd.
func (d *Device) normWeightBackward(op *bindings.NormBackward, means []float32) {
	dw, x, dy, rstd := f32(op.DWeight), f32(op.X), f32(op.DY), f32(op.RStd)
	cols := op.X.Cols
	turns := len(dw) / cols
	const width = 64
	across := tiles(cols, width)
	d.parallel(turns*across, func(_, piece int) {
		from := piece % across * width
		to := min(cols, from+width)
		var sum [width]float64
		for t := piece / across; t < len(rstd); t += turns {
			r, mean := rstd[t], float32(0)
			if op.Centered {
				mean = means[t]
			}
			g := dy[t*cols+from : t*cols+to]
			for j, v := range x[t*cols+from : t*cols+to] {
				sum[j] += float64(g[j]) * float64((v-mean)*r)
			}
		}
		out := dw[piece/across*cols+from : piece/across*cols+to]
		for j := range out {
			out[j] += float32(sum[j])
		}
	})
}

// normWeights returns Weight + Offset in float32, in scratch unless Weight can be used
// directly.
func (d *Device) normWeights(op *bindings.Norm, s *scratch) []float32 {
	if normWeightFloats(op) == 0 {
		return f32(op.Weight)
	}
	if op.Weight.Absent() {
		w := s.take(op.X.Cols)
		for j := range w {
			w[j] = 1 + op.Offset
		}
		return w
	}
	w := s.take(op.Weight.Len())
	widen(w, op.Weight, 0)
	if op.Offset != 0 {
		for j := range w {
			w[j] += op.Offset
		}
	}
	return w
}

// normBiases returns Bias in float32, or nil if it is absent.
func (d *Device) normBiases(op *bindings.Norm, s *scratch) []float32 {
	switch {
	case op.Bias.Absent():
		return nil
	case op.Bias.DType == bindings.F32:
		return f32(op.Bias)
	}
	b := s.take(op.Bias.Len())
	widen(b, op.Bias, 0)
	return b
}

// normWeightFloats returns the scratch for the weight in floats; 0 if it is used
// directly.
func normWeightFloats(op *bindings.Norm) int {
	switch {
	case op.Weight.Absent():
		return padded(op.X.Cols)
	case op.Weight.DType == bindings.F32 && op.Offset == 0:
		return 0
	}
	return padded(op.Weight.Len())
}

func normFloats(_ *profile, op *bindings.Norm) int {
	n := normWeightFloats(op)
	if !op.Bias.Absent() && op.Bias.DType != bindings.F32 {
		n += padded(op.Bias.Len())
	}
	return n
}

func normBackwardFloats(_ *profile, op *bindings.NormBackward) int { return normWeightFloats(&op.Norm) }
