package bindings

// Norm computes RMSNorm over the columns (Zhang & Sennrich 2019), or with Centered
// LayerNorm (Ba et al. 2016), in float32:
//
//	Mean[t] = mean(X[t]), or 0 without Centered    RStd[t] = 1/sqrt(mean((X[t]-Mean[t])²) + Eps)
//	Y = (X-Mean)·RStd·(Weight + Offset) + Bias
//
// Weight and Bias have one row or several that the rows of X use in turn: row t of X
// uses row t mod rows. A norm of each head is the same operation on
// [tokens·heads, head_dim]; with separate weights for each head, Weight is
// [heads, head_dim].
type Norm struct {
	X        Tensor  // [rows, cols]
	Weight   Tensor  // F32, BF16 or F16 [turns, cols]; absent: 1
	Bias     Tensor  // F32, BF16 or F16, shaped like Weight; absent: 0
	Offset   float32 // 1 for Gemma, which stores weight - 1
	Centered bool
	Eps      float32
	Y        Tensor // [rows, cols]; may be X without a backward
	Residual Tensor // [rows, cols], added to Y; may be Y; absent: 0
	Mean     Tensor // F32 [1, rows], kept for backward; with Centered
	RStd     Tensor // F32 [1, rows], kept for backward

	// After, if not nil, rotates Y: the rows are the heads of tokens, and X of After is Y as
	// [tokens, heads·cols]. Not with a Residual.
	After *RoPE
	// Next, if not nil, normalizes Y once more: X of Next is Y. It has one row of weights, and no
	// statistics, Residual, After and Next. Not with After or turns.
	Next *Norm
}

// NormBackward is the backward of Norm. With g = DY·(Weight + Offset) and
// n = (X-Mean)·RStd:
//
//	DX (+)= RStd·(g - n·mean(g·n) - mean(g) where Centered)
//	DWeight += sum over the rows of a turn of DY·n    DBias += sum of DY
//
// Without RStd it computes the statistics from X again.
type NormBackward struct {
	Norm // Y, Residual, After and Next are not used; RStd and Mean are optional without DWeight

	DY         Tensor // [rows, cols]
	DX         Tensor // [rows, cols]; may be DY without Accumulate
	Accumulate bool   // DX += instead of DX =
	Again      Tensor // [rows, cols]: what Norm wrote to Y; may be DY; absent: not wanted
	DWeight    Tensor // F32, shaped like Weight; absent: frozen
	DBias      Tensor // F32, shaped like Bias; absent: frozen
}

// Name returns "norm".
func (*Norm) Name() string { return "norm" }

// turns returns the number of rows of Weight and Bias.
func (op *Norm) turns() int {
	if !op.Weight.Absent() {
		return op.Weight.Rows
	}
	if !op.Bias.Absent() {
		return op.Bias.Rows
	}
	return 1
}

// inputs declares the operands shared by forward and backward. It returns the function for the
// forms of activations.
func (op *Norm) inputs(c *contract) (like func(rows, cols int) form) {
	like = c.leads("X", op.X)
	c.dense("X", op.X)
	if turns := op.turns(); turns <= 0 || op.X.Rows%turns != 0 {
		c.fail("%d rows do not divide into turns of %d", op.X.Rows, turns)
	}
	c.reads("Weight", op.Weight, op.parameter(floats...))
	c.reads("Bias", op.Bias, op.parameter(floats...))
	return like
}

// parameter is the form of Weight, Bias and their gradients.
func (op *Norm) parameter(types ...DType) form {
	if turns := op.turns(); turns != 1 {
		return matrix(turns, op.X.Cols, types...).orAbsent()
	}
	return vector(op.X.Cols, types...).orAbsent()
}

func (op *Norm) declare(c *contract) {
	like := op.inputs(c)
	c.writes("Y", op.Y, like(op.X.Rows, op.X.Cols)).mayBe("X", "Residual")
	c.reads("Residual", op.Residual, like(op.X.Rows, op.X.Cols).orAbsent())
	if r := op.After; r != nil {
		c.that(r.X.samePlace(op.Y) && r.X.Len() == op.Y.Len() && r.HeadDim == op.X.Cols && r.K.Absent(), "After does not rotate Y")
		c.that(op.Residual.Absent(), "Residual is present with After")
		if r.Heads <= 0 || op.X.Rows != r.X.Rows*r.Heads {
			c.fail("%d rows are not %d heads of %d tokens", op.X.Rows, r.Heads, r.X.Rows)
		}
		r.angles(c)
	}
	if op.Next != nil {
		op.next(c)
	}
	c.writes("RStd", op.RStd, vector(op.X.Rows, F32).orAbsent())
	if op.Centered {
		c.writes("Mean", op.Mean, vector(op.X.Rows, F32).orAbsent())
		c.that(op.Mean.Absent() == op.RStd.Absent(), "only one of Mean and RStd is present")
	} else {
		c.that(op.Mean.Absent(), "Mean is present, but the norm is not centered")
	}
}

// next declares the operands of Next.
func (op *Norm) next(c *contract) {
	n := op.Next
	c.that(n.X.samePlace(op.Y) && n.X.Rows == op.Y.Rows && n.X.Cols == op.Y.Cols, "Next does not normalize Y")
	c.that(op.After == nil && op.turns() == 1, "Next is present with After or turns")
	c.that(n.Residual.Absent() && n.Mean.Absent() && n.RStd.Absent() && n.After == nil && n.Next == nil, "Next has a residual, statistics or what follows it")
	parameter := vector(op.Y.Cols, floats...).orAbsent()
	c.reads("Next.Weight", n.Weight, parameter)
	c.reads("Next.Bias", n.Bias, parameter)
	c.writes("Next.Y", n.Y, matrix(op.Y.Rows, op.Y.Cols, op.Y.DType))
}

// Name returns "norm backward".
func (*NormBackward) Name() string { return "norm backward" }

func (op *NormBackward) declare(c *contract) {
	like := op.inputs(c)
	rows, cols := op.X.Rows, op.X.Cols
	c.reads("RStd", op.RStd, vector(rows, F32).orAbsent())
	c.that(!op.RStd.Absent() || op.DWeight.Absent(), "DWeight is present, but RStd is absent")
	if op.Centered {
		c.reads("Mean", op.Mean, vector(rows, F32).orAbsent())
		c.that(op.Mean.Absent() == op.RStd.Absent(), "only one of Mean and RStd is present")
	}
	c.reads("DY", op.DY, like(rows, cols))
	if op.Accumulate {
		c.updates("DX", op.DX, like(rows, cols))
	} else {
		c.writes("DX", op.DX, like(rows, cols)).mayBe("DY")
	}
	c.writes("Again", op.Again, like(rows, cols).orAbsent()).mayBe("DY")
	c.that(op.DWeight.Absent() || !op.Weight.Absent(), "DWeight is present, but Weight is absent")
	c.that(op.DBias.Absent() || !op.Bias.Absent(), "DBias is present, but Bias is absent")
	c.updates("DWeight", op.DWeight, op.parameter(F32))
	c.updates("DBias", op.DBias, op.parameter(F32))
}
