package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

type normJob struct {
	y, x        vector.Rows
	residual    vector.Rows // absent: none
	lanes       [][]float32 // each lane's rows, with a residual
	gain        vector.Gain
	centered    bool
	eps         float32
	means, rstd []float32
	next        nextNorm
}

// A nextNorm is the norm of what a norm has written. y absent: none.
type nextNorm struct {
	y        vector.Rows
	gain     vector.Gain
	centered bool
	eps      float32
}

// run normalizes the rows [from, to) of x.
func (n *nextNorm) run(x vector.Rows, from, to int) {
	if n.y.Count() > 0 {
		vector.Norm(n.y.Slice(from, to), x, n.gain, from, n.centered, n.eps, nil, nil)
	}
}

func (j normJob) run(from, to int) {
	vector.Norm(j.y.Slice(from, to), j.x.Slice(from, to), j.gain, from, j.centered, j.eps, part(j.means, from, to), part(j.rstd, from, to))
	j.next.run(j.y.Slice(from, to), from, to)
}

// runIn runs on a lane: it adds the residual to the rows in the lane's scratch.
func (j normJob) runIn(lane, from, to int) {
	n, cols := to-from, j.x.Cols()
	rows := vector.Floats(j.lanes[lane], n, cols, cols)
	vector.Convert(rows, j.x.Slice(from, to))
	vector.Norm(rows, rows, j.gain, from, j.centered, j.eps, part(j.means, from, to), part(j.rstd, from, to))
	vector.Store(j.y.Slice(from, to), j.lanes[lane], cols, &vector.Epilogue{Residual: j.residual.Slice(from, to)})
	j.next.run(j.y.Slice(from, to), from, to)
}

// part returns x[from:to], nil if x is.
func part(x []float32, from, to int) []float32 {
	if x == nil {
		return nil
	}
	return x[from:to]
}

// norm computes mean and mean square in float64.
func (d *Device) norm(op *bindings.Norm) {
	s := scratchOf(d.workspace)
	j := normJob{
		y: rowsOf(op.Y), x: rowsOf(op.X), residual: rowsOf(op.Residual), gain: vector.Gain{Weight: normWeights(op, &s), Bias: normBiases(op, &s)},
		centered: op.Centered, eps: op.Eps, means: orNil(op.Mean), rstd: orNil(op.RStd),
	}
	if n := op.Next; n != nil {
		j.next = nextNorm{y: rowsOf(n.Y), gain: vector.Gain{Weight: normWeights(n, &s), Bias: normBiases(n, &s)}, centered: n.Centered, eps: n.Eps}
	}
	if op.Residual.Absent() {
		split(d, op.X.Rows, op.X.Cols, j)
	} else {
		j.lanes = lanes(&d.profile, &s, rowsAtOnce(op.X.Cols)*op.X.Cols)
		d.between(0, op.X.Rows, op.X.Cols, j.runIn)
	}
	if op.After != nil {
		d.rotate(op.After)
	}
}

// orNil returns a tensor's float32 elements, or nil if it is absent.
func orNil(t bindings.Tensor) []float32 {
	if t.Absent() {
		return nil
	}
	return f32(t)
}

// normWeights returns Weight + Offset in float32, in scratch unless Weight can be used
// directly.
func normWeights(op *bindings.Norm, s *scratch) []float32 {
	if normWeightFloats(op) == 0 {
		return f32(op.Weight)
	}
	if op.Weight.Absent() {
		w := s.take(op.X.Cols)
		for j := range w {
			w[j] = 1 + op.Offset
		}
		return w
	}
	w := s.take(op.Weight.Len())
	widen(w, op.Weight, 0)
	if op.Offset != 0 {
		vector.Add(w, op.Offset)
	}
	return w
}

// normBiases returns Bias in float32, or nil if it is absent.
func normBiases(op *bindings.Norm, s *scratch) []float32 {
	switch {
	case op.Bias.Absent():
		return nil
	case op.Bias.DType == bindings.F32:
		return f32(op.Bias)
	}
	b := s.take(op.Bias.Len())
	widen(b, op.Bias, 0)
	return b
}

// normWeightFloats returns the scratch for the weight in floats; 0 if it is used
// directly.
func normWeightFloats(op *bindings.Norm) int {
	switch {
	case op.Weight.Absent():
		return padded(op.X.Cols)
	case op.Weight.DType == bindings.F32 && op.Offset == 0:
		return 0
	}
	return padded(op.Weight.Len())
}

// parameterFloats returns the scratch for weight and bias in floats.
func parameterFloats(op *bindings.Norm) int {
	n := normWeightFloats(op)
	if !op.Bias.Absent() && op.Bias.DType != bindings.F32 {
		n += padded(op.Bias.Len())
	}
	return n
}

func normFloats(p *profile, op *bindings.Norm) int {
	n := parameterFloats(op)
	if op.Next != nil {
		n += parameterFloats(op.Next)
	}
	if !op.Residual.Absent() {
		n += planned(func(s *scratch) { lanes(p, s, rowsAtOnce(op.X.Cols)*op.X.Cols) })
	}
	return n
}
