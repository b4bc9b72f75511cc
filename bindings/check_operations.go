package bindings

import "math"

// Every operation checks its own tensors: shapes, element types, and that no
// output lies over a tensor that is still read, save where the operation's
// documentation allows it. A device checks before it computes; what it then
// reads is in bounds, except for ids, labels and positions, which are data.

// Check says what is wrong with a lookup.
func (op *Embed) Check() error {
	c := checker{op: "embed"}
	c.activation("Y", op.Y)
	c.matrix("Table", op.Table, op.Table.Rows, op.Y.Cols, F32, BF16, F16)
	c.vector("IDs", op.IDs, op.Y.Rows, I32)
	c.that(op.Noise >= 0 && !math.IsInf(float64(op.Noise), 1), "Noise is %g", op.Noise)
	c.apart(named{"Y", op.Y}, named{"IDs", op.IDs}, named{"Table", op.Table})
	return c.err
}

// CheckBackward says what is wrong with a lookup's backward.
func (op *Embed) CheckBackward() error {
	c := checker{op: "embed backward"}
	c.activation("DY", op.DY)
	c.matrix("DTable", op.DTable, op.DTable.Rows, op.DY.Cols, F32)
	c.vector("IDs", op.IDs, op.DY.Rows, I32)
	c.apart(named{"DTable", op.DTable}, named{"IDs", op.IDs}, named{"DY", op.DY})
	return c.err
}

// Check says what is wrong with a norm.
func (op *Norm) Check() error {
	c := checker{op: "norm"}
	c.activation("X", op.X)
	rows, cols := op.X.Rows, op.X.Cols
	c.vector("Weight", op.Weight, cols, F32, BF16, F16)
	c.matrix("Y", op.Y, rows, cols, op.X.DType)
	c.sameOrApart(named{"Y", op.Y}, named{"X", op.X})
	c.apart(named{"Y", op.Y}, named{"Weight", op.Weight})
	if !op.InvRMS.Absent() {
		c.vector("InvRMS", op.InvRMS, rows, F32)
		c.apart(named{"InvRMS", op.InvRMS}, named{"X", op.X}, named{"Y", op.Y}, named{"Weight", op.Weight})
	}
	return c.err
}

// CheckBackward says what is wrong with a norm's backward.
func (op *Norm) CheckBackward() error {
	c := checker{op: "norm backward"}
	c.activation("X", op.X)
	rows, cols := op.X.Rows, op.X.Cols
	c.vector("Weight", op.Weight, cols, F32, BF16, F16)
	c.vector("InvRMS", op.InvRMS, rows, F32)
	c.matrix("DY", op.DY, rows, cols, op.X.DType)
	c.matrix("DX", op.DX, rows, cols, op.X.DType)
	dx, dw := named{"DX", op.DX}, named{"DWeight", op.DWeight}
	if op.Accumulate {
		c.apart(dx, named{"DY", op.DY})
	} else {
		c.sameOrApart(dx, named{"DY", op.DY})
	}
	c.apart(dx, named{"X", op.X}, named{"Weight", op.Weight}, named{"InvRMS", op.InvRMS}, dw)
	if !op.DWeight.Absent() {
		c.vector("DWeight", op.DWeight, cols, F32)
		c.apart(dw, named{"X", op.X}, named{"Weight", op.Weight}, named{"InvRMS", op.InvRMS}, named{"DY", op.DY})
	}
	return c.err
}

// Check says what is wrong with a rotation.
func (op *Rotate) Check() error {
	c := checker{op: "rotate"}
	c.activation("X", op.X)
	c.that(op.Heads > 0 && op.HeadDim > 0 && op.Heads*op.HeadDim == op.X.Cols,
		"X has %d columns, not %d heads of %d", op.X.Cols, op.Heads, op.HeadDim)
	c.that(op.Cos.Cols > 0 && 2*op.Cos.Cols <= op.HeadDim,
		"%d angles do not fit a head of %d", op.Cos.Cols, op.HeadDim)
	c.vector("Positions", op.Positions, op.X.Rows, I32)
	c.matrix("Cos", op.Cos, op.Cos.Rows, op.Cos.Cols, F32)
	c.matrix("Sin", op.Sin, op.Cos.Rows, op.Cos.Cols, F32)
	c.apart(named{"X", op.X}, named{"Positions", op.Positions}, named{"Cos", op.Cos}, named{"Sin", op.Sin})
	return c.err
}

// check says what forward and backward of attention have in common.
func (op *Attend) check(c *checker) {
	c.activation("Q", op.Q)
	if op.Heads <= 0 || op.KVHeads <= 0 || op.HeadDim <= 0 || op.Heads%op.KVHeads != 0 {
		c.fail("%d heads of %d cannot share %d key heads", op.Heads, op.HeadDim, op.KVHeads)
		return
	}
	c.that(op.Window >= 0, "Window is %d", op.Window)
	c.matrix("Q", op.Q, op.Q.Rows, op.Heads*op.HeadDim, op.Q.DType)
	c.matrix("K", op.K, op.K.Rows, op.KVHeads*op.HeadDim, op.Q.DType)
	c.matrix("V", op.V, op.K.Rows, op.KVHeads*op.HeadDim, op.Q.DType)
	c.matrix("O", op.O, op.Q.Rows, op.Q.Cols, op.Q.DType)
	c.sequences("Queries", &op.Queries, op.Q.Rows)
	c.sequences("Keys", &op.Keys, op.K.Rows)
	if c.err != nil {
		return
	}
	if op.Queries.Count() != op.Keys.Count() {
		c.fail("Queries has %d sequences, Keys has %d", op.Queries.Count(), op.Keys.Count())
		return
	}
	for i := range op.Queries.Count() {
		q := op.Queries.Starts[i+1] - op.Queries.Starts[i]
		k := op.Keys.Starts[i+1] - op.Keys.Starts[i]
		c.that(q <= k, "sequence %d has %d queries but %d keys", i, q, k)
	}
}

// Check says what is wrong with an attention.
func (op *Attend) Check() error {
	c := checker{op: "attend"}
	op.check(&c)
	c.apart(named{"O", op.O}, named{"Q", op.Q}, named{"K", op.K}, named{"V", op.V})
	if !op.LSE.Absent() {
		c.matrix("LSE", op.LSE, op.Q.Rows, op.Heads, F32)
		c.apart(named{"LSE", op.LSE}, named{"Q", op.Q}, named{"K", op.K}, named{"V", op.V}, named{"O", op.O})
	}
	return c.err
}

// CheckBackward says what is wrong with an attention's backward.
func (op *Attend) CheckBackward() error {
	c := checker{op: "attend backward"}
	op.check(&c)
	c.matrix("LSE", op.LSE, op.Q.Rows, op.Heads, F32)
	c.matrix("DO", op.DO, op.Q.Rows, op.Q.Cols, op.Q.DType)
	c.matrix("DQ", op.DQ, op.Q.Rows, op.Q.Cols, op.Q.DType)
	c.matrix("DK", op.DK, op.K.Rows, op.K.Cols, op.Q.DType)
	c.matrix("DV", op.DV, op.K.Rows, op.K.Cols, op.Q.DType)
	do, dq, dk, dv := named{"DO", op.DO}, named{"DQ", op.DQ}, named{"DK", op.DK}, named{"DV", op.DV}
	c.sameOrApart(dq, do)
	c.apart(dk, do, dq, dv)
	c.apart(dv, do, dq)
	for _, in := range []named{{"Q", op.Q}, {"K", op.K}, {"V", op.V}, {"O", op.O}, {"LSE", op.LSE}} {
		c.apart(in, dq, dk, dv)
	}
	return c.err
}

// Check says what is wrong with a gate.
func (op *Gate) Check() error {
	c := checker{op: "gate"}
	c.activation("G", op.G)
	rows, cols := op.G.Rows, op.G.Cols
	c.matrix("U", op.U, rows, cols, op.G.DType)
	c.matrix("Y", op.Y, rows, cols, op.G.DType)
	c.apart(named{"Y", op.Y}, named{"G", op.G}, named{"U", op.U})
	return c.err
}

// CheckBackward says what is wrong with a gate's backward.
func (op *Gate) CheckBackward() error {
	c := checker{op: "gate backward"}
	c.activation("G", op.G)
	rows, cols := op.G.Rows, op.G.Cols
	c.matrix("U", op.U, rows, cols, op.G.DType)
	c.matrix("DY", op.DY, rows, cols, op.G.DType)
	c.matrix("DG", op.DG, rows, cols, op.G.DType)
	c.matrix("DU", op.DU, rows, cols, op.G.DType)
	g, u, dy, dg, du := named{"G", op.G}, named{"U", op.U}, named{"DY", op.DY}, named{"DG", op.DG}, named{"DU", op.DU}
	c.sameOrApart(dg, g)
	c.sameOrApart(dg, dy)
	c.sameOrApart(du, u)
	c.apart(dg, u, du)
	c.apart(du, g, dy)
	return c.err
}

// Check says what is wrong with a head and its loss.
func (op *HeadLoss) Check() error {
	c := checker{op: "head loss"}
	c.activation("X", op.X)
	if op.Linear == nil {
		c.fail("Linear is absent")
		return c.err
	}
	w := &op.Linear.Weight
	c.op += " of " + op.Linear.Name
	c.that(op.Linear.Adapter == nil, "the head has an adapter")
	c.weight("Weight", w)
	c.matrix("X", op.X, op.X.Rows, w.In, op.X.DType)
	c.vector("Labels", op.Labels, op.X.Rows, I32)
	c.vector("Stats", op.Stats, 3, F32)
	if !op.Linear.Bias.Absent() {
		c.vector("Bias", op.Linear.Bias, w.Out, F32, BF16, F16)
	}
	x, stats := named{"X", op.X}, named{"Stats", op.Stats}
	dx, dw := named{"DX", op.DX}, named{"DWeight", op.DWeight}
	inputs := append(w.tensors(), named{"Labels", op.Labels}, named{"Bias", op.Linear.Bias})
	c.apart(stats, x, dx, dw)
	c.apart(stats, inputs...)
	if !op.Losses.Absent() {
		losses := named{"Losses", op.Losses}
		c.vector("Losses", op.Losses, op.X.Rows, F32)
		c.apart(losses, x, stats, dx, dw)
		c.apart(losses, inputs...)
	}
	if !op.DX.Absent() {
		c.matrix("DX", op.DX, op.X.Rows, w.In, op.X.DType)
		c.sameOrApart(dx, x)
		c.apart(dx, inputs...)
	}
	if !op.DWeight.Absent() {
		c.that(!op.DX.Absent(), "DWeight is wanted without DX")
		c.matrix("DWeight", op.DWeight, w.Out, w.In, F32)
		c.apart(dw, x, dx)
		c.apart(dw, inputs...)
	}
	return c.err
}

// Check says what is wrong with a measure of gradients.
func (op *GradNorm) Check() error {
	c := checker{op: "gradient norm"}
	c.vector("Out", op.Out, 2, F32)
	c.that(op.Max >= 0, "Max is %g", op.Max)
	for i := range op.Params {
		p := &op.Params[i]
		c.matrix("the gradient of "+p.Name, p.Grad, p.Grad.Rows, p.Grad.Cols, F32)
		c.apart(named{"Out", op.Out}, named{"the gradient of " + p.Name, p.Grad})
	}
	return c.err
}

// CheckCopy says what is wrong with a copy of src to dst: the shapes are the
// same, the types both of numbers or the same.
func CheckCopy(dst, src Tensor) error {
	c := checker{op: "copy"}
	if dst.Absent() || src.Absent() {
		c.fail("from %v to %v", src, dst)
		return c.err
	}
	c.matrix("the copy", dst, src.Rows, src.Cols, F32, BF16, F16, I32, U8)
	float := func(t DType) bool { return t == F32 || t == BF16 || t == F16 }
	c.that(dst.DType == src.DType || float(dst.DType) && float(src.DType), "%v cannot become %v", src, dst)
	c.apart(named{"the copy", dst}, named{"its source", src})
	return c.err
}

// CheckQuantize says what is wrong with a place for a matrix in 4 bits and the
// n bytes of the given type that are to be put there.
func CheckQuantize(dst *Weight, n int, dtype DType) error {
	c := checker{op: "quantize"}
	if dst.Quantized == nil {
		c.fail("the weight has no place for 4-bit codes")
		return c.err
	}
	c.weight("the weight", dst)
	c.that(dtype == F32 || dtype == BF16 || dtype == F16, "from %v; it has to be F32, BF16 or F16", dtype)
	if dst.Quantized.Double() {
		c.that(dst.Quantized.NestedBlockSize == NestedBlockSize,
			"nested blocks of %d scales can be read but not made; they have to be of %d", dst.Quantized.NestedBlockSize, NestedBlockSize)
	}
	want := int64(dst.Out) * int64(dst.In) * dtype.Size()
	c.that(int64(n) == want, "%d bytes for [%d, %d] of %v; it has to be %d", n, dst.Out, dst.In, dtype, want)
	return c.err
}
