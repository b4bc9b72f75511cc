package bindings

// Project computes several projections of one input X: query, key and value, or gate
// and up.
//
//	Y = Residual + X·Wᵀ + Bias + Scale·XA·Bᵀ    XA = dropout(X)·Aᵀ
//
// With a Magnitude (DoRA), D = dropout(X) and G = Magnitude/Norms. Backward treats
// Norms as a constant (section 4.3 of the paper):
//
//	V = D·Wᵀ + Scale·XA·Bᵀ      Y = Residual + Bias + (X - D)·Wᵀ + G·V
//
// This equals PEFT's sum of the base's output for X and the adapter's change of the
// base's output for D.
type Project struct {
	X      Tensor // [tokens, in]
	Parts  []Part
	Random Random
	Whole  bool // a device that decodes 4-bit weights first may do so for all of them at once, else for a bounded part

	// After, if not nil, runs on the results: a gated activation whose G and U are the Y of two
	// parts, or the halves of the Y of one.
	After *Activate
}

// Part is one projection of a Project.
type Part struct {
	Linear   *Linear
	Y        Tensor // [tokens, out]
	Residual Tensor // [tokens, out], added; may be Y; absent: 0
	// XA is [tokens, r], kept for backward; absent without an adapter or outside training. If
	// the parts' A are [Stacked] and their XA [Abreast], a device may read X once for all.
	XA Tensor
}

// ProjectBackward is the backward of Project. With U = Scale·DY·B:
//
//	DX (+)= sum over parts of DY·W + dropout'(U·A)
//	DA += Uᵀ·dropout(X)    DB += Scale·DYᵀ·XA    DBias += sum of DY    DWeight += DYᵀ·X
//
// The full [out, in] gradient is computed only if DWeight is present. With a Magnitude,
// H = G·DY and U = Scale·H·B:
//
//	DX (+)= sum over parts of DY·W + dropout'((H - DY)·W + U·A)
//	DA += Uᵀ·D    DB += Scale·Hᵀ·XA    DMagnitude += sum of DY·V/Norms
//
// V is not kept: backward recomputes it by another product with the weight.
type ProjectBackward struct {
	X      Tensor // [tokens, in]
	Parts  []PartBackward
	Random Random
	Whole  bool // see Project

	DX         Tensor // [tokens, in]; absent: not computed (the first layer's input)
	Accumulate bool   // DX += instead of DX =

	// After, if not nil, is the backward of the operation that computed X: an
	// ActivateBackward or a NormBackward with DX as its DY. It runs once DX is complete, and
	// its Again, which is DX too, is the X of DA and DWeight. So X need not be computed
	// before, X and DX are the same tensor, and both are lost. Not with a Magnitude.
	After Operation
}

// A follower is an operation that ProjectBackward can run after its own work.
type follower interface {
	Operation
	// replaces returns the gradient that it reads and the output it computes again.
	replaces() (dy, again Tensor)
}

func (op *NormBackward) replaces() (dy, again Tensor)     { return op.DY, op.Again }
func (op *ActivateBackward) replaces() (dy, again Tensor) { return op.DY, op.Again }

// PartBackward is one projection of a ProjectBackward.
type PartBackward struct {
	Linear *Linear
	XA     Tensor // [tokens, r], forward's result; with DA

	DY         Tensor // [tokens, out]
	DA, DB     Tensor // F32, like A and B; absent: frozen
	DMagnitude Tensor // F32 [1, out]; with DA and a Magnitude
	DWeight    Tensor // F32 [out, in]; absent: frozen
	DBias      Tensor // F32 [1, out]; absent: frozen
}

// RowNorms computes the row norms of a weight with its adapter's update. Project needs
// them for an adapter with a Magnitude; they are valid until A or B change:
//
//	Norms[o] = sqrt(sum over i of (W + Scale·B·A)[o][i]²)
type RowNorms struct {
	Linear *Linear // with an adapter that has Norms
}

// linear declares the operands of one layer that forward and backward read.
func (c *contract) linear(l *Linear, x Tensor, like func(rows, cols int) form) {
	c.layer = l.Name
	if !x.Absent() && x.Cols != l.Weight.In {
		c.wrong("X", "is %v; it must be [%d, %d]", x, x.Rows, l.Weight.In)
	}
	c.weight(&l.Weight)
	c.reads("Bias", l.Bias, vector(l.Weight.Out, floats...).orAbsent())
	if a := l.Adapter; a != nil {
		c.reads("A", a.A, like(a.A.Rows, l.Weight.In))
		c.reads("B", a.B, like(l.Weight.Out, a.A.Rows))
		c.probability("Dropout", a.Dropout)
		if !a.Magnitude.Absent() {
			c.reads("Magnitude", a.Magnitude, vector(l.Weight.Out, F32))
			c.reads("Norms", a.Norms, vector(l.Weight.Out, F32))
		}
	}
}

// Name returns "project".
func (*Project) Name() string { return "project" }

func (op *Project) declare(c *contract) {
	like := c.leads("X", op.X)
	c.dense("X", op.X)
	op.Random.declare(c)
	c.that(len(op.Parts) > 0, "there are no parts")
	for i := range op.Parts {
		p := &op.Parts[i]
		l := p.Linear
		if l == nil {
			c.fail("part %d has no Linear", i)
			return
		}
		c.linear(l, op.X, like)
		out := like(op.X.Rows, l.Weight.Out)
		c.reads("Residual", p.Residual, out.orAbsent())
		c.writes("Y", p.Y, out).mayBe("Residual")
		if l.Adapter != nil {
			c.writes("XA", p.XA, like(op.X.Rows, l.Adapter.Rank()).asView().orAbsent())
		}
	}
	c.layer = ""
	if op.After != nil && len(op.Parts) > 0 {
		g, u := op.gates()
		c.that(op.After.G.same(g) && op.After.U.same(u) && !g.Absent(), "After's G and U are not the Y of two parts or the halves of one")
		op.After.known(c)
		c.writes("After.Y", op.After.Y, like(op.X.Rows, g.Cols))
	}
}

// gates returns what After may have as its G and U; absent tensors if it may have nothing.
func (op *Project) gates() (g, u Tensor) {
	y := op.Parts[0].Y
	switch {
	case len(op.Parts) == 2:
		return y, op.Parts[1].Y
	case len(op.Parts) == 1 && y.Cols%2 == 0 && y.Contiguous():
		return y.Columns(0, y.Cols/2), y.Columns(y.Cols/2, y.Cols)
	}
	return Tensor{}, Tensor{}
}

// Name returns "project backward".
func (*ProjectBackward) Name() string { return "project backward" }

func (op *ProjectBackward) declare(c *contract) {
	like := op.input(c)
	c.dense("X", op.X)
	op.Random.declare(c)
	c.that(len(op.Parts) > 0, "there are no parts")
	for i := range op.Parts {
		p := &op.Parts[i]
		l := p.Linear
		if l == nil {
			c.fail("part %d has no Linear", i)
			return
		}
		c.linear(l, op.X, like)
		out, in := l.Weight.Out, l.Weight.In
		c.reads("DY", p.DY, like(op.X.Rows, out))
		if p.DA.Absent() != p.DB.Absent() {
			c.wrong("DA", "or DB is absent; both or neither must be")
		}
		if !p.DA.Absent() {
			if l.Adapter == nil {
				c.wrong("DA", "is present, but there is no adapter")
				return
			}
			c.updates("DA", p.DA, matrix(l.Adapter.Rank(), in, F32))
			c.updates("DB", p.DB, matrix(out, l.Adapter.Rank(), F32))
			c.reads("XA", p.XA, like(op.X.Rows, l.Adapter.Rank()).asView())
		}
		decomposed := l.Adapter != nil && !l.Adapter.Magnitude.Absent()
		if p.DMagnitude.Absent() != (p.DA.Absent() || !decomposed) {
			c.wrong("DMagnitude", "needs DA and a Magnitude")
		}
		if !p.DWeight.Absent() && decomposed {
			c.wrong("DWeight", "is present, but with a Magnitude the weight is frozen")
		}
		c.updates("DMagnitude", p.DMagnitude, vector(out, F32).orAbsent())
		c.updates("DWeight", p.DWeight, matrix(out, in, F32).orAbsent())
		c.updates("DBias", p.DBias, vector(out, F32).orAbsent())
	}
	c.layer = ""
	if op.After != nil {
		return
	}
	access := Writes
	if op.Accumulate {
		access = Updates
	}
	c.operand("DX", op.DX, access, like(op.X.Rows, op.X.Cols).orAbsent())
}

// input declares X, or After with it.
func (op *ProjectBackward) input(c *contract) (like func(rows, cols int) form) {
	if op.After == nil {
		return c.leads("X", op.X)
	}
	next, ok := op.After.(follower)
	if !ok {
		c.fail("After is %q, which is not the backward of a norm or an activation", op.After.Name())
		return c.leads("X", op.X)
	}
	dy, again := next.replaces()
	wanted := !again.Absent()
	c.that(op.DX.samePlace(op.X) && dy.samePlace(op.X) && (!wanted || again.samePlace(op.X)), "X, DX and After's operands are not one tensor")
	c.that(!op.Accumulate, "Accumulate is set with After")
	if n, ok := op.After.(*NormBackward); ok {
		c.that(n.DWeight.Absent() && n.DBias.Absent(), "After is of a trained norm")
	}
	for i := range op.Parts {
		p := &op.Parts[i]
		if !wanted && (!p.DA.Absent() || !p.DWeight.Absent()) {
			c.fail("part %d needs X, but After does not compute it", i)
		}
		if p.Linear != nil && p.Linear.Adapter != nil && !p.Linear.Adapter.Magnitude.Absent() {
			c.fail("part %d has a Magnitude", i)
		}
	}
	next.declare(c)
	c.operand("X", op.X, Writes, form{any: true, types: typesOf(F32, BF16)}).mayBe("DY", "Again")
	return alike[op.X.DType]
}

// Name returns "row norms".
func (*RowNorms) Name() string { return "row norms" }

func (op *RowNorms) declare(c *contract) {
	if op.Linear == nil || op.Linear.Adapter == nil {
		c.fail("there is no adapter")
		return
	}
	l, a := op.Linear, op.Linear.Adapter
	c.layer = l.Name
	c.weight(&l.Weight)
	like := c.leads("A", a.A)
	if a.A.Cols != l.Weight.In {
		c.wrong("A", "is %v; it must be [%d, %d]", a.A, a.A.Rows, l.Weight.In)
	}
	c.reads("B", a.B, like(l.Weight.Out, a.A.Rows))
	c.writes("Norms", a.Norms, vector(l.Weight.Out, F32))
}
