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
	positions := elements[int32](op.Positions)
	for t, p := range positions {
		if p < 0 || int(p) >= op.Cos.Rows {
			d.fail(fmt.Errorf("rope: row %d is at position %d, the tables have %d", t, p, op.Cos.Rows))
			return
		}
	}
	width, period := op.X.Groups()
	j := ropeJob{x: rowsOf(op.X), positions: positions, RoPE: vector.RoPE{
		Heads: vector.Heads{Count: op.Heads, Dim: op.HeadDim, Width: width, Period: period},
		Cos:   f32(op.Cos), Sin: f32(op.Sin), Half: op.Cos.Cols, Interleaved: op.Interleaved, Sign: 1,
	}}
	if op.Inverse {
		j.Sign = -1
	}
	split(d, op.X.Rows, op.X.Cols, j)
}
