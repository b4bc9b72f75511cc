package merge

import "math"

// A Product computes dst [rows, cols] = scale·b·a for b [rows, rank] and a [rank, cols]. It
// is safe for concurrent use.
type Product func(dst, b, a []float32, rank int, scale float32)

// A change is the change of one adapter to the weight [out, in] of a linear layer. Its
// rows are independent.
//
//	W' = W + Scale·B·A
//	W' = m/‖W₀ + Scale·B·A‖ · (W + Scale·B·A)    with DoRA, by row; W₀ is the base's
type change struct {
	rank      int
	a, b      []float32 // [rank, in], [out, rank]
	scale     float32
	magnitude []float32 // [out]; nil: without DoRA
}

// apply changes w, rows [from, to) of the weight. base has the same rows of the base
// weight; delta is scratch memory of the same size.
func (c *change) apply(product Product, w, base, delta []float32, from, to, in int) {
	product(delta, c.b[from*c.rank:to*c.rank], c.a, c.rank, c.scale)
	for i := range to - from {
		w, base, delta := w[i*in:(i+1)*in], base[i*in:(i+1)*in], delta[i*in:(i+1)*in]
		for j, d := range delta {
			w[j] += d
		}
		if c.magnitude == nil {
			continue
		}
		var sum float64
		for j, d := range delta {
			v := float64(base[j] + d)
			sum += v * v
		}
		factor := c.magnitude[from+i] / float32(math.Sqrt(sum))
		for j := range w {
			w[j] *= factor
		}
	}
}
