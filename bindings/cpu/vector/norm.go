package vector

// #include "vector.h"
import "C"

// A Gain is the weight of a norm, [turns, cols], and its bias, nil if there is none. The
// rows of an activation use their rows in turn.
type Gain struct {
	Weight, Bias []float32
}

func (g Gain) turns(cols int) C.long { return C.long(len(g.Weight) / max(1, cols)) }

// Norm computes y = (x - mean)·rstd·weight + bias of each row, with
// rstd = 1/sqrt(mean((x - mean)²) + eps), and a mean of 0 unless centered. It writes the
// rows' means and rstd to slices that are not nil. row is the number of the first row. y
// may be x.
func Norm(y, x Rows, g Gain, row int, centered bool, eps float32, means, rstd []float32) {
	y.like(x)
	turns := g.turns(x.cols)
	same(len(g.Weight), int(turns)*x.cols)
	for _, kept := range [][]float32{means, rstd} {
		if kept != nil {
			same(len(kept), x.count)
		}
	}
	if g.Bias != nil {
		same(len(g.Bias), len(g.Weight))
	}
	C.vector_norm(x.kind(), flag(centered), y.rows(), x.rows(), floats(g.Weight), floats(g.Bias), turns, C.long(row)%max(1, turns), C.long(x.count),
		C.long(x.cols), C.float(eps), floats(means), floats(rstd))
}

// NormBackward computes dx (+)= rstd·(g - n·mean(g·n) - mean(g) where centered), with
// g = dy·weight and n = (x - mean)·rstd. means is nil unless the norm is centered. dx may
// be dy.
func NormBackward(dx, x, dy Rows, weight []float32, row int, means, rstd []float32, accumulate bool) {
	dx.like(x)
	dx.like(dy)
	turns := Gain{Weight: weight}.turns(x.cols)
	same(len(weight), int(turns)*x.cols)
	same(len(rstd), x.count)
	if means != nil {
		same(len(means), x.count)
	}
	C.vector_norm_backward(x.kind(), dx.rows(), x.rows(), dy.rows(), floats(weight), turns, C.long(row)%max(1, turns), C.long(x.count), C.long(x.cols),
		floats(means), floats(rstd), flag(accumulate))
}

// NormWeightBackward computes dw += sum of dy·(x - mean)·rstd over the rows of x and dy,
// which are every turns-th of an activation: means and rstd have all its rows, from the
// first one of x on.
func NormWeightBackward(dw []float32, x, dy Rows, means, rstd []float32, turns int) {
	x.like(dy)
	same(len(dw), x.cols)
	if x.count == 0 {
		return
	}
	_ = rstd[(x.count-1)*turns]
	if means != nil {
		same(len(means), len(rstd))
	}
	C.vector_norm_weight_backward(floats(dw), x.kind(), x.rows(), dy.rows(), C.long(x.count), C.long(x.cols), floats(means), floats(rstd), C.long(turns))
}

// AddRows computes dst += sum of the rows of x, summed in float64.
func AddRows(dst []float32, x Rows) {
	same(len(dst), x.cols)
	C.vector_sum_rows(floats(dst), x.kind(), x.rows(), C.long(x.count), C.long(x.cols))
}
