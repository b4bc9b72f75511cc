package bindings

// tensors are the tensors that hold w.
func (w *Weight) tensors() []named {
	if w.Quantized == nil {
		return []named{{"Weight", w.Dense}}
	}
	q := w.Quantized
	return []named{
		{"Weight.Codes", q.Codes},
		{"Weight.Absmax", q.Absmax},
		{"Weight.AbsmaxCodes", q.AbsmaxCodes},
		{"Weight.NestedAbsmax", q.NestedAbsmax},
		{"Weight.Map", q.Map},
		{"Weight.Offset", q.Offset},
	}
}

// inputs checks what forward and backward read and lists it.
func (op *Project) inputs(c *checker) []named {
	c.activation("X", op.X)
	inputs := []named{{"X", op.X}}
	c.that(len(op.Parts) > 0, "there are no parts")
	for i := range op.Parts {
		l := op.Parts[i].Linear
		if l == nil {
			c.fail("part %d has no Linear", i)
			return inputs
		}
		c.weight(l.Name+": Weight", &l.Weight)
		c.matrix(l.Name+": X", op.X, op.X.Rows, l.Weight.In, op.X.DType)
		inputs = append(inputs, l.Weight.tensors()...)
		if !l.Bias.Absent() {
			c.vector(l.Name+": Bias", l.Bias, l.Weight.Out, F32, BF16, F16)
			inputs = append(inputs, named{l.Name + ": Bias", l.Bias})
		}
		if a := l.Adapter; a != nil {
			c.matrix(l.Name+": A", a.A, a.A.Rows, l.Weight.In, op.X.DType)
			c.matrix(l.Name+": B", a.B, l.Weight.Out, a.A.Rows, op.X.DType)
			c.that(a.Dropout >= 0 && a.Dropout < 1, "%s: Dropout is %g; it has to be in [0, 1)", l.Name, a.Dropout)
			inputs = append(inputs, named{l.Name + ": A", a.A}, named{l.Name + ": B", a.B})
			if !a.Magnitude.Absent() {
				c.vector(l.Name+": Magnitude", a.Magnitude, l.Weight.Out, F32)
				c.vector(l.Name+": Norms", a.Norms, l.Weight.Out, F32)
				inputs = append(inputs, named{l.Name + ": Magnitude", a.Magnitude}, named{l.Name + ": Norms", a.Norms})
			}
		}
	}
	return inputs
}

// Check says what is wrong with a projection.
func (op *Project) Check() error {
	c := checker{op: "project"}
	inputs := op.inputs(&c)
	var outputs []named
	for i := range op.Parts {
		if c.err != nil {
			return c.err
		}
		p := &op.Parts[i]
		l := p.Linear
		c.matrix(l.Name+": Y", p.Y, op.X.Rows, l.Weight.Out, op.X.DType)
		y := named{l.Name + ": Y", p.Y}
		if !p.Residual.Absent() {
			residual := named{l.Name + ": Residual", p.Residual}
			c.matrix(residual.name, p.Residual, op.X.Rows, l.Weight.Out, op.X.DType)
			c.sameOrApart(y, residual)
		}
		for j := range op.Parts {
			if j != i {
				c.apart(y, named{op.Parts[j].Linear.Name + ": Residual", op.Parts[j].Residual})
			}
		}
		outputs = append(outputs, y)
		if !p.Low.Absent() && l.Adapter != nil {
			c.matrix(l.Name+": Low", p.Low, op.X.Rows, l.Adapter.Rank(), op.X.DType)
			outputs = append(outputs, named{l.Name + ": Low", p.Low})
		}
	}
	c.outputs(outputs, inputs)
	return c.err
}

// outputs says that outputs lie apart from the inputs and from one another.
func (c *checker) outputs(outputs, inputs []named) {
	for i, out := range outputs {
		c.apart(out, inputs...)
		c.apart(out, outputs[i+1:]...)
	}
}

// CheckBackward says what is wrong with a projection's backward.
func (op *Project) CheckBackward() error {
	c := checker{op: "project backward"}
	inputs := op.inputs(&c)
	var outputs []named
	for i := range op.Parts {
		if c.err != nil {
			return c.err
		}
		p := &op.Parts[i]
		l := p.Linear
		out, in := l.Weight.Out, l.Weight.In
		c.matrix(l.Name+": DY", p.DY, op.X.Rows, out, op.X.DType)
		inputs = append(inputs, named{l.Name + ": DY", p.DY})
		c.that(p.DA.Absent() == p.DB.Absent(), "%s: one of DA and DB is absent", l.Name)
		if !p.DA.Absent() {
			if l.Adapter == nil {
				c.fail("%s: DA is wanted but there is no adapter", l.Name)
				return c.err
			}
			c.matrix(l.Name+": DA", p.DA, l.Adapter.Rank(), in, F32)
			c.matrix(l.Name+": DB", p.DB, out, l.Adapter.Rank(), F32)
			c.matrix(l.Name+": Low", p.Low, op.X.Rows, l.Adapter.Rank(), op.X.DType)
			inputs = append(inputs, named{l.Name + ": Low", p.Low})
			outputs = append(outputs, named{l.Name + ": DA", p.DA}, named{l.Name + ": DB", p.DB})
		}
		decomposed := l.Adapter != nil && !l.Adapter.Magnitude.Absent()
		c.that(p.DMagnitude.Absent() == (p.DA.Absent() || !decomposed), "%s: of DA and DMagnitude one is absent, or there is no Magnitude", l.Name)
		if !p.DMagnitude.Absent() {
			c.vector(l.Name+": DMagnitude", p.DMagnitude, out, F32)
			outputs = append(outputs, named{l.Name + ": DMagnitude", p.DMagnitude})
		}
		if !p.DWeight.Absent() {
			c.that(!decomposed, "%s: DWeight is wanted, but with a Magnitude the weight is frozen", l.Name)
			c.matrix(l.Name+": DWeight", p.DWeight, out, in, F32)
			outputs = append(outputs, named{l.Name + ": DWeight", p.DWeight})
		}
		if !p.DBias.Absent() {
			c.vector(l.Name+": DBias", p.DBias, out, F32)
			outputs = append(outputs, named{l.Name + ": DBias", p.DBias})
		}
	}
	if !op.DX.Absent() {
		c.matrix("DX", op.DX, op.X.Rows, op.X.Cols, op.X.DType)
		outputs = append(outputs, named{"DX", op.DX})
	}
	c.outputs(outputs, inputs)
	return c.err
}

// Check says what is wrong with a measure of rows.
func (op *RowNorms) Check() error {
	c := checker{op: "row norms"}
	if op.Linear == nil || op.Linear.Adapter == nil {
		c.fail("there is no adapter")
		return c.err
	}
	l, a := op.Linear, op.Linear.Adapter
	c.op += " of " + l.Name
	c.weight("Weight", &l.Weight)
	c.activation("A", a.A)
	c.matrix("A", a.A, a.A.Rows, l.Weight.In, a.A.DType)
	c.matrix("B", a.B, l.Weight.Out, a.A.Rows, a.A.DType)
	c.vector("Norms", a.Norms, l.Weight.Out, F32)
	c.apart(named{"Norms", a.Norms}, append(l.Weight.tensors(), named{"A", a.A}, named{"B", a.B})...)
	return c.err
}
