package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// headsJob is the norm and the rotation of the heads of one tensor of tokens.
type headsJob struct {
	x         bindings.Tensor // [tokens, heads·dim]
	heads     int
	norm      *bindings.Norm // nil: none
	gain      vector.Gain
	rope      vector.RoPE
	positions []int32 // nil: no rotation
}

// run writes the heads of the tokens [from, to) to rows of y from row on.
func (j *headsJob) run(y bindings.Tensor, row, from, to int) {
	end := row + to - from
	switch {
	case j.norm != nil:
		vector.Norm(headRows(y, row, end, j.heads), headRows(j.x, from, to, j.heads), j.gain, from*j.heads, j.norm.Centered, j.norm.Eps, nil, nil)
	case y != j.x:
		copyColumns(y, row, j.x, from, to-from)
	}
	if j.positions != nil {
		j.rope.Rotate(rowsOf(y).Slice(row, end), j.positions[from:to])
	}
}

// headRows returns the heads of the rows [from, to) of t, a row each.
func headRows(t bindings.Tensor, from, to, heads int) vector.Rows {
	return rowsOf(t.Reshape(t.Rows*heads, t.Cols/heads)).Slice(from*heads, to*heads)
}

type extendJob struct {
	q, k         headsJob
	v            bindings.Tensor
	keys, values bindings.Tensor
	rows         []int32
}

// run extends the cache by the tokens [from, to): those whose rows follow each other at once.
func (j extendJob) run(from, to int) {
	if !j.q.x.Absent() {
		j.q.run(j.q.x, from, from, to)
	}
	for from < to {
		row, n := int(j.rows[from]), 1
		for from+n < to && int(j.rows[from+n]) == row+n {
			n++
		}
		j.k.run(j.keys, row, from, from+n)
		copyColumns(j.values, row, j.v, from, n)
		from += n
	}
}

// extend is one piece of work for a few tokens.
func (d *Device) extend(op *bindings.Extend) {
	j := extendJob{v: op.V, keys: op.Keys, values: op.Values, rows: elements[int32](op.Rows)}
	if !d.known("extend", j.rows, op.Keys.Rows) {
		return
	}
	s := scratchOf(d.workspace)
	var ok bool
	if j.q, ok = d.headsOf(op.Q, op.Q, op.Heads, op.QNorm, op.QRoPE, &s); !ok {
		return
	}
	if j.k, ok = d.headsOf(op.K, op.Keys, op.KVHeads, op.KNorm, op.KRoPE, &s); !ok {
		return
	}
	split(d, op.K.Rows, op.Q.Cols+op.K.Cols+op.V.Cols, j)
}

// headsOf returns the work on x, which is rotated where it is written, in y.
func (d *Device) headsOf(x, y bindings.Tensor, heads int, n *bindings.Norm, r *bindings.RoPE, s *scratch) (j headsJob, ok bool) {
	j = headsJob{x: x, heads: heads}
	if n != nil {
		of := sized(n, x, heads)
		j.norm, j.gain = n, vector.Gain{Weight: normWeights(of, s), Bias: normBiases(of, s)}
	}
	if r == nil {
		return j, true
	}
	j.positions = elements[int32](r.Positions)
	j.rope, ok = d.rotation(r, y, heads)
	return j, ok
}

// sized returns n as a norm of rows that are x's heads.
func sized(n *bindings.Norm, x bindings.Tensor, heads int) *bindings.Norm {
	of := *n
	of.X = x.Reshape(x.Rows*heads, x.Cols/heads)
	return &of
}

func extendFloats(_ *profile, op *bindings.Extend) int {
	n := 0
	if op.QNorm != nil {
		n += parameterFloats(sized(op.QNorm, op.Q, op.Heads))
	}
	if op.KNorm != nil {
		n += parameterFloats(sized(op.KNorm, op.K, op.KVHeads))
	}
	return n
}
