package cpu

import (
	"math"

	"qlora/bindings"
)

// normRows is how many rows of a norm one goroutine takes at a time.
const normRows = 64

// Norm takes the mean square in float64.
func (d *Device) Norm(op *bindings.Norm) {
	if !d.ready(floats(op.Check(), op.X), op) {
		return
	}
	cols := op.X.Cols
	x, y := f32(op.X), f32(op.Y)
	var inv []float32
	if !op.InvRMS.Absent() {
		inv = f32(op.InvRMS)
	}
	w := d.widened(op.Weight)
	d.rows(op.X.Rows, max(1, normRows*1024/max(1, cols)/16), func(from, to int) {
		for t := from; t < to; t++ {
			row, out := x[t*cols:(t+1)*cols], y[t*cols:(t+1)*cols]
			r := float32(1 / math.Sqrt(dot(row, row)/float64(cols)+float64(op.Eps)))
			if inv != nil {
				inv[t] = r
			}
			weights := w[:len(row)]
			for j, v := range row {
				out[j] = v * r * weights[j]
			}
		}
	})
}

// NormBackward sums over a row, and the gradient of the weight over the rows,
// in float64.
func (d *Device) NormBackward(op *bindings.Norm) {
	if !d.ready(floats(op.CheckBackward(), op.X), backward{op}) {
		return
	}
	cols := op.X.Cols
	x, dy, dx, inv := f32(op.X), f32(op.DY), f32(op.DX), f32(op.InvRMS)
	w := d.widened(op.Weight)
	if !op.DWeight.Absent() {
		normWeight(d, f32(op.DWeight), x, dy, inv)
	}
	d.rows(op.X.Rows, max(1, normRows*1024/max(1, cols)/16), func(from, to int) {
		for t := from; t < to; t++ {
			row := x[t*cols : (t+1)*cols]
			g, out, weights := dy[t*cols : (t+1)*cols][:len(row)], dx[t*cols : (t+1)*cols][:len(row)], w[:len(row)]
			var sum float64
			for j, v := range row {
				sum += float64(g[j]*weights[j]) * float64(v)
			}
			r := inv[t]
			// The mean of g·X times InvRMS²: what each X takes with it.
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

// normWeight is dw += sum over rows of dy·x·inv.
func normWeight(d *Device, dw, x, dy, inv []float32) {
	cols := len(dw)
	const width = 64
	d.rows(cols, width, func(from, to int) {
		var sum [width]float64
		for t, r := range inv {
			g := dy[t*cols+from : t*cols+to]
			for j, v := range x[t*cols+from : t*cols+to] {
				sum[j] += float64(g[j]) * float64(v*r)
			}
		}
		for j := range dw[from:to] {
			dw[from+j] += float32(sum[j])
		}
	})
}

// widened is a vector in float32: itself, or a copy at the workspace's start.
func (d *Device) widened(t bindings.Tensor) []float32 {
	if t.DType == bindings.F32 {
		return f32(t)
	}
	s := scratchOf(d.workspace)
	v := s.take(t.Len())
	widen(v, t, 0)
	return v
}

// scratchNorm is the floats that a norm takes: its weight, where that is not in
// float32.
func scratchNorm(op *bindings.Norm) int {
	if op.Weight.DType == bindings.F32 {
		return 0
	}
	return padded(op.Weight.Len())
}
