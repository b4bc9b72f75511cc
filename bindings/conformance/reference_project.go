package conformance

import "gonum.org/v1/gonum/mat"

// linear is a projection with its adapter in float64. W is [out, in], A [r, in], B
// [out, r]; Bias, A and B may be nil. Mask holds the dropout factors of x.
type linear struct {
	W    *mat.Dense
	Bias []float64
	A, B *mat.Dense
	Mask *mat.Dense
	// Scale of the adapter.
	Scale float64
	// Magnitude and Norms of a weight-decomposed adapter, else nil. Norms is a
	// constant: see rowNorms.
	Magnitude, Norms []float64
}

// rowNorms returns the L2 norms of the rows of W + Scale·B·A.
func (l *linear) rowNorms() []float64 {
	var v mat.Dense
	v.Mul(l.B, l.A)
	v.Scale(l.Scale, &v)
	v.Add(l.W, &v)
	out, _ := v.Dims()
	norms := make([]float64, out)
	for o := range norms {
		norms[o] = mat.Norm(v.RowView(o), 2)
	}
	return norms
}

// gained returns m with column o multiplied by Magnitude[o]/Norms[o].
func (l *linear) gained(m *mat.Dense) *mat.Dense {
	var g mat.Dense
	g.Apply(func(_, o int, v float64) float64 { return v * l.Magnitude[o] / l.Norms[o] }, m)
	return &g
}

// direction returns dropout(x)·Wᵀ + scale·xa·Bᵀ.
func (l *linear) direction(x, xa *mat.Dense) *mat.Dense {
	var v, up mat.Dense
	v.Mul(l.dropped(x), l.W.T())
	up.Mul(xa, l.B.T())
	up.Scale(l.Scale, &up)
	v.Add(&v, &up)
	return &v
}

// dropped returns dropout(x).
func (l *linear) dropped(x *mat.Dense) *mat.Dense {
	if l.Mask == nil {
		return x
	}
	var d mat.Dense
	d.MulElem(x, l.Mask)
	return &d
}

// forward returns y = x·Wᵀ + bias + scale·xa·Bᵀ and xa = dropout(x)·Aᵀ. With a magnitude
// y is PEFT's sum of the base's output for x, (G-1) times the base's product with
// dropout(x), and G·scale·xa·Bᵀ.
func (l *linear) forward(x *mat.Dense) (y, xa *mat.Dense) {
	y = new(mat.Dense)
	y.Mul(x, l.W.T())
	if l.Bias != nil {
		y.Apply(func(_, j int, v float64) float64 { return v + l.Bias[j] }, y)
	}
	if l.A == nil {
		return y, nil
	}
	xa = new(mat.Dense)
	xa.Mul(l.dropped(x), l.A.T())
	var up mat.Dense
	up.Mul(xa, l.B.T())
	up.Scale(l.Scale, &up)
	if l.Magnitude != nil {
		var base mat.Dense
		base.Mul(l.dropped(x), l.W.T())
		y.Sub(y, &base)
		y.Add(y, l.gained(&base))
		y.Add(y, l.gained(&up))
		return y, xa
	}
	y.Add(y, &up)
	return y, xa
}

// linearGrads are the gradients of a projection.
type linearGrads struct {
	X, W, A, B *mat.Dense
	Bias       []float64
	Magnitude  []float64
}

// backward returns the gradients for the output's gradient dy.
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
	_, xa := l.forward(x)
	var u, through mat.Dense
	h := dy
	if l.Magnitude != nil {
		g.W = nil // frozen
		h = l.gained(dy)
		g.Magnitude = make([]float64, out)
		v := l.direction(x, xa)
		for t := range tokens {
			for o := range out {
				g.Magnitude[o] += dy.At(t, o) * v.At(t, o) / l.Norms[o]
			}
		}
	}
	u.Mul(h, l.B)
	u.Scale(l.Scale, &u)
	g.A, g.B = new(mat.Dense), new(mat.Dense)
	g.A.Mul(u.T(), l.dropped(x))
	g.B.Mul(h.T(), xa)
	g.B.Scale(l.Scale, g.B)
	through.Mul(&u, l.A)
	if l.Magnitude != nil {
		var change, base mat.Dense
		change.Sub(h, dy)
		base.Mul(&change, l.W)
		through.Add(&through, &base)
	}
	g.X.Add(g.X, l.dropped(&through))
	return g
}
