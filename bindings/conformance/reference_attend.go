package conformance

import "math"

// attention is one head over one sequence: q [queries, dim], k and v [keys, dim], as
// slices of rows. The last query aligns with the last key; window 0 means no window, cap
// 0 no cap.
type attention struct {
	Q, K, V [][]float64
	Scale   float64
	Window  int
	Cap     float64
	Bias    []float64   // by key; nil: none
	Sink    []float64   // one number; nil: no sink
	Keep    [][]float64 // dropout factors of each query's weights; nil: no dropout
}

// visible returns the range of keys [from, to) that query i sees.
func (a *attention) visible(i int) (from, to int) {
	to = i + len(a.K) - len(a.Q) + 1
	if a.Window > 0 {
		from = max(0, to-a.Window)
	}
	return from, to
}

// weights returns the softmax of query i over all keys, 0 for keys it does not see, the
// slope of the cap at each, and the log of the softmax's sum.
func (a *attention) weights(i int) (p, slope []float64, lse float64) {
	from, to := a.visible(i)
	p, slope = make([]float64, len(a.K)), make([]float64, len(a.K))
	top := math.Inf(-1)
	if a.Sink != nil {
		top = a.Sink[0]
	}
	for j := from; j < to; j++ {
		p[j], slope[j] = capped(a.Scale*inner(a.Q[i], a.K[j]), a.Cap)
		if a.Bias != nil {
			p[j] += a.Bias[j]
		}
		top = max(top, p[j])
	}
	var sum float64
	if a.Sink != nil {
		sum = math.Exp(a.Sink[0] - top)
	}
	for j := from; j < to; j++ {
		sum += math.Exp(p[j] - top)
	}
	lse = top + math.Log(sum)
	for j := from; j < to; j++ {
		p[j] = math.Exp(p[j] - lse)
	}
	return p, slope, lse
}

// kept returns the dropout factor of query i and key j.
func (a *attention) kept(i, j int) float64 {
	if a.Keep == nil {
		return 1
	}
	return a.Keep[i][j]
}

// forward returns o = dropout(softmax)·v and the log-sum-exp of each query.
func (a *attention) forward() (o [][]float64, lse []float64) {
	o, lse = zeros(a.Q), make([]float64, len(a.Q))
	for i := range a.Q {
		var p []float64
		p, _, lse[i] = a.weights(i)
		for j, w := range p {
			axpy(o[i], w*a.kept(i, j), a.V[j])
		}
	}
	return o, lse
}

// backward returns the gradients of q, k, v and the sink.
func (a *attention) backward(do [][]float64) (dq, dk, dv [][]float64, dsink float64) {
	dq, dk, dv = zeros(a.Q), zeros(a.K), zeros(a.V)
	o, _ := a.forward()
	for i := range a.Q {
		p, slope, lse := a.weights(i)
		mean := inner(do[i], o[i])
		for j, w := range p {
			axpy(dv[j], w*a.kept(i, j), do[i])
			ds := w * (a.kept(i, j)*inner(do[i], a.V[j]) - mean) * slope[j] * a.Scale
			axpy(dq[i], ds, a.K[j])
			axpy(dk[j], ds, a.Q[i])
		}
		if a.Sink != nil {
			dsink -= math.Exp(a.Sink[0]-lse) * mean
		}
	}
	return dq, dk, dv, dsink
}

// rounded returns the magnitudes of the values that are rounded on the way to the
// gradients, as sums of squares for each query and key: DS = Scale·P·(DP - DO·O)·cap' and
// the terms of its two inner products, of which O is stored, however small the sums are;
// for values, dropout(P); for the sink, the terms of DO·O. They are far larger for the
// first keys of a sequence, which few queries share.
func (a *attention) rounded(do [][]float64) (query, key, value []float64, sink float64) {
	query, key, value = make([]float64, len(a.Q)), make([]float64, len(a.K)), make([]float64, len(a.K))
	o, _ := a.forward()
	for i := range a.Q {
		p, slope, lse := a.weights(i)
		mean, means := inner(do[i], o[i]), squares(do[i], o[i])
		for j, w := range p {
			kept := a.kept(i, j)
			difference := kept*inner(do[i], a.V[j]) - mean
			share := w * a.Scale * slope[j]
			square := share * share * (difference*difference + kept*kept*squares(do[i], a.V[j]) + means)
			query[i] += square
			key[j] += square
			value[j] += w * w * kept * kept
		}
		if a.Sink != nil {
			share := math.Exp(a.Sink[0] - lse)
			sink += share * share * (mean*mean + means)
		}
	}
	return query, key, value, sink
}

// squares returns the sum of the squares of the terms of inner(a, b).
func squares(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i] * v * b[i]
	}
	return sum
}

// inner returns the sum of a·b.
func inner(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// axpy computes dst += f·x.
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
