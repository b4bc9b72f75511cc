package cuda

import "qlora/bindings"

func (c *composer) fold(op *bindings.Fold) {
	c.fixedPoint(fixedPoint{step: stepFold, limit: float(op.Limit)}, op.Params, op.Sums)
}

func (c *composer) unfold(op *bindings.Unfold) {
	c.fixedPoint(fixedPoint{step: stepUnfold}, op.Params, op.Sums)
}

func (c *composer) round(op *bindings.Round) {
	c.fixedPoint(fixedPoint{step: stepRound, limit: float(op.Limit)}, op.Params, bindings.Tensor{})
}

// fixedPoint runs a step over all parameters in one launch.
func (c *composer) fixedPoint(k fixedPoint, params []bindings.Param, sums bindings.Tensor) {
	list, at := make([]param, len(params)), 0
	for i := range params {
		g := params[i].Grad
		list[i] = param{n: i64(g.Len()), grad: pointer[float](g)}
		if !sums.Absent() {
			list[i].m = address(sums.Columns(at, at+g.Len()))
			at += g.Len()
		}
	}
	if !sums.Absent() {
		k.mark = pointer[i64](sums.Columns(at, at+1))
	}
	k.count, k.table = i32(len(list)), c.table(len(list), 0)
	pinned(list, func(first *param) {
		k.params = first
		do(c, &k)
	})
}
