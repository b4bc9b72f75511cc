package conformance

import (
	"math"

	"qlora/bindings"
)

// activation returns f(x) and f'(x); ReLU's slope at 0 is 0.
func activation(kind bindings.Activation, x float64) (value, slope float64) {
	switch kind {
	case bindings.SiLU:
		s := 1 / (1 + math.Exp(-x))
		return x * s, s * (1 + x*(1-s))
	case bindings.GELU:
		phi := math.Erfc(-x/math.Sqrt2) / 2
		return x * phi, phi + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	case bindings.GELUTanh:
		const a = 0.044715
		root := math.Sqrt(2 / math.Pi)
		t := math.Tanh(root * (x + a*x*x*x))
		return x * (1 + t) / 2, (1+t)/2 + x*(1-t*t)/2*root*(1+3*a*x*x)
	case bindings.ReLU:
		if x > 0 {
			return x, 1
		}
	case bindings.ReLUSquared:
		if x > 0 {
			return x * x, 2 * x
		}
	}
	return 0, 0
}

// rope rotates the pairs of one head by the given angles: pairs across its halves, or
// neighbors if interleaved.
func rope(x, cos, sin []float64, interleaved bool) {
	n := len(cos)
	for i := range n {
		p, q := i, i+n
		if interleaved {
			p, q = 2*i, 2*i+1
		}
		a, b := x[p], x[q]
		x[p], x[q] = a*cos[i]-b*sin[i], b*cos[i]+a*sin[i]
	}
}

// capped returns limit·tanh(x/limit) and its slope; limit 0 means no cap.
func capped(x, limit float64) (value, slope float64) {
	if limit == 0 {
		return x, 1
	}
	t := math.Tanh(x / limit)
	return limit * t, 1 - t*t
}
