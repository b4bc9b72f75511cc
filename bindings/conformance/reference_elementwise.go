package conformance

import "math"

// gate is silu(g)·u.
func gate(g, u float64) float64 { return g / (1 + math.Exp(-g)) * u }

// gateBackward is the gradients of g and u.
func gateBackward(g, u, dy float64) (dg, du float64) {
	s := 1 / (1 + math.Exp(-g))
	return dy * u * s * (1 + g*(1-s)), dy * g * s
}

// rotate turns the pairs (i, i+len(cos)) of one head by the given angles.
func rotate(x, cos, sin []float64) {
	n := len(cos)
	for i := range n {
		a, b := x[i], x[i+n]
		x[i], x[i+n] = a*cos[i]-b*sin[i], b*cos[i]+a*sin[i]
	}
}
