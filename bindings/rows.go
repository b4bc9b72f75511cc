package bindings

// ScaleRows multiplies each row by a number, in place: X[t] *= Factors[t].
type ScaleRows struct {
	X       Tensor // [rows, cols]
	Factors Tensor // F32 [1, rows]
}

// Name returns "scale rows".
func (*ScaleRows) Name() string { return "scale rows" }

func (op *ScaleRows) declare(c *contract) {
	c.operand("X", op.X, Updates, form{any: true, types: typesOf(F32, BF16)}).Activation = true
	c.reads("Factors", op.Factors, vector(op.X.Rows, F32))
}

// Gather sums chosen rows, in float32 and in the order of the list:
//
//	Y[t] = sum of X[Rows[j]]    Starts[t] <= j < Starts[t+1]
//
// Without Starts, Y[t] = X[Rows[t]]. The gradient of that is a Gather, too, by the list of
// the places that each row went to.
type Gather struct {
	X      Tensor // [rows, cols]; may be a view
	Y      Tensor // [n, cols]; may be a view
	Rows   Tensor // I32, of X; without Starts one for each row of Y
	Starts Tensor // I32 [1, n+1]; absent: each sum is of one row
}

// Name returns "gather".
func (*Gather) Name() string { return "gather" }

func (op *Gather) declare(c *contract) {
	like := c.leads("X", op.X)
	c.writes("Y", op.Y, like(op.Y.Rows, op.X.Cols).asView())
	if op.Starts.Absent() {
		c.reads("Rows", op.Rows, vector(op.Y.Rows, I32))
		return
	}
	c.reads("Rows", op.Rows, vector(op.Rows.Len(), I32))
	c.reads("Starts", op.Starts, vector(op.Y.Rows+1, I32))
}
