package bindings

import "qlora/internal/dynamic8"

// Check says what is wrong with an optimizer step.
func (op *Optimize) Check() error {
	c := checker{op: "optimize"}
	c.vector("Clip", op.Clip, 2, F32)
	c.that(op.Step >= 1, "Step is %d; the first one is 1", op.Step)
	if op.Rule == nil {
		c.fail("Rule is absent")
		return c.err
	}
	first, second := op.Rule.Moments()
	for i := range op.Params {
		p := &op.Params[i]
		if p.Value.Absent() {
			c.fail("the value of %s is absent", p.Name)
			break
		}
		rows, cols := p.Value.Rows, p.Value.Cols
		c.dtype("the value of "+p.Name, p.Value, F32, BF16, F16)
		c.matrix("the master of "+p.Name, p.Master, rows, cols, F32)
		c.matrix("the gradient of "+p.Name, p.Grad, rows, cols, F32)
		c.moment("the first moment of "+p.Name, p.M, rows, cols, first)
		c.moment("the second moment of "+p.Name, p.V, rows, cols, second)
		c.that(p.Rate > 0, "the Rate of %s is %g; it has to be above 0", p.Name, p.Rate)
		value, master, grad := named{"the value of " + p.Name, p.Value}, named{"its master", p.Master}, named{"its gradient", p.Grad}
		moments := []named{
			{"its first moment", p.M.Values},
			{"the absmax of its first moment", p.M.Absmax},
			{"its second moment", p.V.Values},
			{"the absmax of its second moment", p.V.Absmax},
		}
		c.sameOrApart(value, master)
		for i, m := range moments {
			c.apart(m, value, master, grad)
			c.apart(m, moments[i+1:]...)
		}
		c.apart(grad, value, master)
		c.that(p.Value.block != p.Master.block || p.Value.offset != p.Master.offset || p.Value.DType == F32,
			"%s is its own master but %v", p.Name, p.Value.DType)
	}
	return c.err
}

// moment says that m is one of a [rows, cols] parameter, or absent where the rule
// keeps none.
func (c *checker) moment(name string, m Moment, rows, cols int, kept bool) {
	if !kept {
		c.that(m.Absent() && m.Absmax.Absent(), "%s is %v, but the rule keeps none", name, m.Values)
		return
	}
	c.matrix(name, m.Values, rows, cols, F32, U8)
	if m.Values.DType == U8 {
		c.vector("the absmax of "+name, m.Absmax, dynamic8.Blocks(rows*cols), F32)
	} else {
		c.that(m.Absmax.Absent(), "%s is in float32 but has an absmax", name)
	}
}
