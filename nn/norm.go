package nn

import (
	"fmt"

	"qlora/bindings"
)

// A Norm is an RMSNorm or, if Centered, a LayerNorm.
type Norm struct {
	Name     string // "model.norm"
	Size     int    // features
	Eps      float32
	Centered bool
	Offset   float32 // added to the weight: 1 for Gemma
	Bias     bool
	Plain    bool // no weight and no bias
	// Turns is the number of weights that the rows use in turn: a norm of each head
	// with a weight [Turns, Size]. 0: one weight for all rows.
	Turns int
	// Apart is the format of the tensors' names if the checkpoint has one for each turn.
	Apart string // "….norms.%d.weight"; "": one tensor for all

	weight, bias         bindings.Tensor // [max(Turns, 1), Size]
	weightGrad, biasGrad bindings.Tensor // F32; absent: frozen
}

func (n *Norm) declare(d *declarer) {
	switch {
	case n == nil || n.Plain:
		return
	case n.Apart != "":
		n.declareApart(d)
	case n.Turns > 0:
		n.weight = d.place(weightSource{name: n.Name + ".weight", module: n.Name, kind: vector, grad: &n.weightGrad}, n.Turns, n.Size, n.Turns, n.Size)
	default:
		n.weight = d.vector(weightSource{name: n.Name + ".weight", module: n.Name, layerNorm: n.Centered && n.Bias, grad: &n.weightGrad}, n.Size)
	}
	if n.Bias {
		n.bias = d.vector(weightSource{name: n.Name + ".bias", module: n.Name, bias: true, grad: &n.biasGrad}, n.Size)
	}
}

// declareApart allocates the tensors of all turns as one.
func (n *Norm) declareApart(d *declarer) {
	for i := range n.Turns {
		name := fmt.Sprintf(n.Apart, i)
		w := weightSource{name: name, module: name[:len(name)-len(".weight")], kind: vector, turn: i, turns: n.Turns, whole: &n.weight, grad: &n.weightGrad}
		d.place(w, 1, n.Size, n.Size)
	}
}

// trained reports whether n needs a gradient.
func (n *Norm) trained() bool {
	return n != nil && (!n.weightGrad.Absent() || !n.biasGrad.Absent())
}

// normStats holds the statistics of a norm's forward that its backward reads.
type normStats struct{ mean, rstd bindings.Tensor }

// normalize returns y = n(x), row by row, in arena a.
func (p *pass) normalize(a *bindings.Arena, n *Norm, x bindings.Tensor) (y bindings.Tensor, s normStats) {
	y = a.New(p.m.info.Activation, x.Rows, x.Cols)
	s = newStats(a, n, x.Rows)
	op := p.norm(n, x, s)
	op.Y = y
	p.run(op)
	return y, s
}

// statsIfTrained returns the statistics of n(x) if n's gradients need them: the gradient of x does
// not.
func (p *pass) statsIfTrained(n *Norm, x bindings.Tensor) (s normStats) {
	if n.trained() {
		_, s = p.normalize(p.work, n, x)
	}
	return s
}

func newStats(a *bindings.Arena, n *Norm, rows int) normStats {
	s := normStats{rstd: a.New(bindings.F32, 1, rows)}
	if n.Centered {
		s.mean = a.New(bindings.F32, 1, rows)
	}
	return s
}

// normalizeInto normalizes like normalize, with y in the workspace and the stats in s's tensors.
func (p *pass) normalizeInto(n *Norm, x bindings.Tensor, s normStats) bindings.Tensor {
	op := p.norm(n, x, s)
	op.Y = p.work.New(p.m.info.Activation, x.Rows, x.Cols)
	p.run(op)
	return op.Y
}

// norm fills in the operation n(x).
func (p *pass) norm(n *Norm, x bindings.Tensor, s normStats) *bindings.Norm {
	return set(&p.ops.norm, n.operation(x, s))
}

func (n *Norm) operation(x bindings.Tensor, s normStats) bindings.Norm {
	return bindings.Norm{
		X: x, Weight: n.weight, Bias: n.bias, Offset: n.Offset, Centered: n.Centered, Eps: n.Eps, Mean: s.mean, RStd: s.rstd,
	}
}

// normalizeBackward computes the gradient of x from dy, the gradient of n(x), into
// dx, or adds it to dx if accumulate is set.
func (p *pass) normalizeBackward(n *Norm, x bindings.Tensor, s normStats, dy, dx bindings.Tensor, accumulate bool) {
	p.run(set(&p.ops.normBackward, bindings.NormBackward{
		Norm: n.operation(x, s), DY: dy, DX: dx, Accumulate: accumulate, DWeight: n.weightGrad, DBias: n.biasGrad,
	}))
}

// A HeadNorm is a norm of queries or keys: of each head, or of the whole row of heads.
type HeadNorm struct {
	Norm
	WholeRow bool
}

// shape returns x [tokens, heads·head_dim] reshaped to the norm's rows.
func (n *HeadNorm) shape(x bindings.Tensor) bindings.Tensor {
	if n.WholeRow {
		return x
	}
	return x.Reshape(x.Len()/n.Size, n.Size)
}

// normalizeHeads returns n(x), rotated by r unless that is nil: the norm of each head does so in
// the same pass. Without n it rotates y.
func (p *pass) normalizeHeads(a *bindings.Arena, n *HeadNorm, x, y bindings.Tensor, r *bindings.RoPE) (bindings.Tensor, normStats) {
	var s normStats
	if n != nil {
		y = a.New(p.m.info.Activation, x.Rows, x.Cols)
		rows := n.shape(x)
		s = newStats(a, &n.Norm, rows.Rows)
		op := p.norm(&n.Norm, rows, s)
		op.Y = y.Reshape(rows.Rows, rows.Cols)
		if r != nil && !n.WholeRow {
			r.X = y
			op.After, r = r, nil
		}
		p.run(op)
	}
	if r != nil {
		r.X = y
		p.run(r)
	}
	return y, s
}

// normalizeHeadsBackward replaces d, the gradient of the normalized heads, by the
// gradient of x.
func (p *pass) normalizeHeadsBackward(n *HeadNorm, x bindings.Tensor, s normStats, d bindings.Tensor) {
	d = n.shape(d)
	p.normalizeBackward(&n.Norm, n.shape(x), s, d, d, false)
}
