package conformance

import "gonum.org/v1/gonum/mat"

// linear is a projection with its adapter in float64. W is [out, in], A [r, in],
// B [out, r]; Bias, A and B may be nil. Mask is what dropout multiplies x by.
type linear struct {
	W    *mat.Dense
	Bias []float64
	A, B *mat.Dense
	Mask *mat.Dense
	// Scale of the adapter.
	Scale float64
}

// dropped is dropout(x).
func (l *linear) dropped(x *mat.Dense) *mat.Dense {
	if l.Mask == nil {
		return x
	}
	var d mat.Dense
	d.MulElem(x, l.Mask)
	return &d
}

// forward is y = x·Wᵀ + bias + scale·low·Bᵀ and low = dropout(x)·Aᵀ.
func (l *linear) forward(x *mat.Dense) (y, low *mat.Dense) {
	y = new(mat.Dense)
	y.Mul(x, l.W.T())
	if l.Bias != nil {
		y.Apply(func(_, j int, v float64) float64 { return v + l.Bias[j] }, y)
	}
	if l.A == nil {
		return y, nil
	}
	low = new(mat.Dense)
	low.Mul(l.dropped(x), l.A.T())
	var up mat.Dense
	up.Mul(low, l.B.T())
	up.Scale(l.Scale, &up)
	y.Add(y, &up)
	return y, low
}

// linearGrads are the gradients of a projection.
type linearGrads struct {
	X, W, A, B *mat.Dense
	Bias       []float64
}

// backward is the gradients that dy causes.
func (l *linear) backward(x, dy *mat.Dense) linearGrads {
	g := linearGrads{X: new(mat.Dense), W: new(mat.Dense)}
	g.X.Mul(dy, l.W)
	g.W.Mul(dy.T(), x)
	tokens, out := dy.Dims()
	g.Bias = make([]float64, out)
	for t := range tokens {
		for j := range out {
			g.Bias[j] += dy.At(t, j)
		}
	}
	if l.A == nil {
		return g
	}
	_, low := l.forward(x)
	var u, through mat.Dense
	u.Mul(dy, l.B)
	u.Scale(l.Scale, &u)
	g.A, g.B = new(mat.Dense), new(mat.Dense)
	g.A.Mul(u.T(), l.dropped(x))
	g.B.Mul(dy.T(), low)
	g.B.Scale(l.Scale, g.B)
	through.Mul(&u, l.A)
	g.X.Add(g.X, l.dropped(&through))
	return g
}
