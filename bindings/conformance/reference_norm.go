package conformance

import "math"

// norm is RMSNorm of one row: y = x·r·w with r = 1/sqrt(mean(x²) + eps).
func norm(x, w []float64, eps float64) (y []float64, r float64) {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	r = 1 / math.Sqrt(sum/float64(len(x))+eps)
	y = make([]float64, len(x))
	for j, v := range x {
		y[j] = v * r * w[j]
	}
	return y, r
}

// normBackward is the gradients of one row's x and of the weight.
func normBackward(x, w, dy []float64, eps float64) (dx, dw []float64) {
	_, r := norm(x, w, eps)
	dx, dw = make([]float64, len(x)), make([]float64, len(x))
	var mean float64
	for j, v := range x {
		mean += dy[j] * w[j] * v / float64(len(x))
	}
	for j, v := range x {
		dx[j] = r * (dy[j]*w[j] - v*r*r*mean)
		dw[j] = dy[j] * v * r
	}
	return dx, dw
}
