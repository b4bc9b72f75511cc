package conformance

import "math"

// normalizer is RMSNorm, or LayerNorm if centered, of one row: y = n·(w + offset) + b with
// n = (x - mean)·r. Weight and bias may be nil.
type normalizer struct {
	Weight, Bias []float64
	Offset, Eps  float64
	Centered     bool
}

func (n *normalizer) gain(j int) float64 {
	if n.Weight == nil {
		return 1 + n.Offset
	}
	return n.Weight[j] + n.Offset
}

// moments returns the mean, 0 unless centered, and r = 1/sqrt(mean((x - mean)²) + eps).
func (n *normalizer) moments(x []float64) (mean, r float64) {
	if n.Centered {
		for _, v := range x {
			mean += v / float64(len(x))
		}
	}
	var sum float64
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	return mean, 1 / math.Sqrt(sum/float64(len(x))+n.Eps)
}

func (n *normalizer) forward(x []float64) []float64 {
	mean, r := n.moments(x)
	y := make([]float64, len(x))
	for j, v := range x {
		y[j] = (v - mean) * r * n.gain(j)
		if n.Bias != nil {
			y[j] += n.Bias[j]
		}
	}
	return y
}

// backward returns the gradients of one row's x and of the weight; the bias's is dy.
func (n *normalizer) backward(x, dy []float64) (dx, dw []float64) {
	mean, r := n.moments(x)
	dx, dw = make([]float64, len(x)), make([]float64, len(x))
	var average, moment float64
	for j, v := range x {
		g := dy[j] * n.gain(j)
		average += g / float64(len(x))
		moment += g * (v - mean) * r / float64(len(x))
	}
	if !n.Centered {
		average = 0
	}
	for j, v := range x {
		dx[j] = r * (dy[j]*n.gain(j) - (v-mean)*r*moment - average)
		dw[j] = dy[j] * (v - mean) * r
	}
	return dx, dw
}
