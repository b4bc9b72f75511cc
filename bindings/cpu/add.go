package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

type branchJob struct {
	y, x, residual vector.Rows
	scale          float32
	drops          bool
	dropout        vector.Dropout
}

func (j branchJob) run(from, to int) {
	var dropout *vector.Dropout
	if j.drops {
		dropout = &j.dropout
	}
	vector.AddBranch(j.y.Slice(from, to), j.x.Slice(from, to), j.residual.Slice(from, to), j.scale, dropout, from)
}

// branch returns the job of a branch without a residual, which is also its gradient's.
func branch(y, x bindings.Tensor, scale, dropout float32, stream uint32, random bindings.Random) branchJob {
	return branchJob{
		y: rowsOf(y), x: rowsOf(x), scale: orOne(scale), drops: random.Train && dropout > 0,
		dropout: vector.NewDropout(random.Seed, stream, random.Step, dropout),
	}
}

func (d *Device) add(op *bindings.Add) {
	j := branch(op.Y, op.X, op.Scale, op.Dropout, op.Stream, op.Random)
	j.residual = rowsOf(op.Residual)
	split(d, op.X.Rows, op.X.Cols, j)
}

func (d *Device) addBackward(op *bindings.AddBackward) {
	split(d, op.DY.Rows, op.DY.Cols, branch(op.DX, op.DY, op.Scale, op.Dropout, op.Stream, op.Random))
}
