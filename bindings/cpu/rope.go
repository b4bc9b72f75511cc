package cpu

import (
	"fmt"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

type ropeJob struct {
	vector.RoPE
	x         vector.Rows
	positions []int32
}

func (j ropeJob) run(from, to int) { j.Rotate(j.x.Slice(from, to), j.positions[from:to]) }

// rope rotates pairs of each head, of X and then of K.
func (d *Device) rope(op *bindings.RoPE) {
	d.rotate(op)
	if !op.K.Absent() {
		keys := *op
		keys.X, keys.Heads = op.K, op.KVHeads
		d.rotate(&keys)
	}
}

func (d *Device) rotate(op *bindings.RoPE) {
	if r, ok := d.rotation(op, op.X, op.Heads); ok {
		split(d, op.X.Rows, op.X.Cols, ropeJob{x: rowsOf(op.X), positions: elements[int32](op.Positions), RoPE: r})
	}
}

// rotation returns op's rotation of x's heads, and reports whether all positions are in the tables.
func (d *Device) rotation(op *bindings.RoPE, x bindings.Tensor, heads int) (r vector.RoPE, ok bool) {
	for t, p := range elements[int32](op.Positions) {
		if p < 0 || int(p) >= op.Cos.Rows {
			d.fail(fmt.Errorf("rope: row %d is at position %d, the tables have %d", t, p, op.Cos.Rows))
			return r, false
		}
	}
	width, period := x.Groups()
	r = vector.RoPE{
		Heads: vector.Heads{Count: heads, Dim: x.Cols / heads, Width: width, Period: period},
		Cos:   f32(op.Cos), Sin: f32(op.Sin), Half: op.Cos.Cols, Interleaved: op.Interleaved, Sign: 1,
	}
	if op.Inverse {
		r.Sign = -1
	}
	return r, true
}
