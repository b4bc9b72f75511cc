package conformance

import "math"

// attention is one head over one sequence: q [queries, dim], k and v [keys, dim],
// row slices. The last query sees the last key; window 0 is no window.
type attention struct {
	Q, K, V [][]float64
	Scale   float64
	Window  int
}

// visible is the keys [from, to) that query i sees.
func (a *attention) visible(i int) (from, to int) {
	to = i + len(a.K) - len(a.Q) + 1
	if a.Window > 0 {
		from = max(0, to-a.Window)
	}
	return from, to
}

// weights is the softmax of query i over all keys, zero where it sees none, and
// the log of its sum.
func (a *attention) weights(i int) (p []float64, lse float64) {
	from, to := a.visible(i)
	p = make([]float64, len(a.K))
	top := math.Inf(-1)
	for j := from; j < to; j++ {
		p[j] = a.Scale * inner(a.Q[i], a.K[j])
		top = max(top, p[j])
	}
	var sum float64
	for j := from; j < to; j++ {
		sum += math.Exp(p[j] - top)
	}
	lse = top + math.Log(sum)
	for j := from; j < to; j++ {
		p[j] = math.Exp(p[j] - lse)
	}
	return p, lse
}

// forward is o = softmax·v and the log-sum-exp of each query.
func (a *attention) forward() (o [][]float64, lse []float64) {
	o, lse = zeros(a.Q), make([]float64, len(a.Q))
	for i := range a.Q {
		var p []float64
		p, lse[i] = a.weights(i)
		for j, w := range p {
			axpy(o[i], w, a.V[j])
		}
	}
	return o, lse
}

// backward is the gradients of q, k and v.
func (a *attention) backward(do [][]float64) (dq, dk, dv [][]float64) {
	dq, dk, dv = zeros(a.Q), zeros(a.K), zeros(a.V)
	o, _ := a.forward()
	for i := range a.Q {
		p, _ := a.weights(i)
		mean := inner(do[i], o[i])
		for j, w := range p {
			axpy(dv[j], w, do[i])
			ds := w * (inner(do[i], a.V[j]) - mean) * a.Scale
			axpy(dq[i], ds, a.K[j])
			axpy(dk[j], ds, a.Q[i])
		}
	}
	return dq, dk, dv
}

// rounded is what rounds on the way to the gradients, as sums of squares for each
// query and each key: DS = Scale·P·(DP - DO·O) itself and the terms of its two inner
// products, of which O is stored, however small their sums are; and, for values, P.
// The first keys of a sequence, which few queries share, have far more of it than the
// others.
func (a *attention) rounded(do [][]float64) (query, key, value []float64) {
	query, key, value = make([]float64, len(a.Q)), make([]float64, len(a.K)), make([]float64, len(a.K))
	o, _ := a.forward()
	for i := range a.Q {
		p, _ := a.weights(i)
		mean, means := inner(do[i], o[i]), squares(do[i], o[i])
		for j, w := range p {
			difference := inner(do[i], a.V[j]) - mean
			square := w * w * a.Scale * a.Scale * (difference*difference + squares(do[i], a.V[j]) + means)
			query[i] += square
			key[j] += square
			value[j] += w * w
		}
	}
	return query, key, value
}

// squares is the sum of the squares of the terms of inner(a, b).
func squares(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i] * v * b[i]
	}
	return sum
}

// inner is the sum of a·b.
func inner(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// axpy is dst += f·x.
func axpy(dst []float64, f float64, x []float64) {
	for i := range dst {
		dst[i] += f * x[i]
	}
}

func zeros(like [][]float64) [][]float64 {
	z := make([][]float64, len(like))
	for i := range z {
		z[i] = make([]float64, len(like[i]))
	}
	return z
}
