package bindings

// GradNorm computes the L2 norm of all gradients as one vector and the clip factor.
//
//	Out = [norm, min(1, Max/(norm+1e-6))]      Max 0: [norm, 1]
//
// Info.Squares has the order of the sums. If the norm is not finite, the factor is NaN and Optimize does nothing.
type GradNorm struct {
	Params []Param
	Max    float32
	Out    Tensor // F32 [1, 2]
}

// Name returns "gradient norm".
func (*GradNorm) Name() string { return "gradient norm" }

func (op *GradNorm) declare(c *contract) {
	c.writes("Out", op.Out, vector(2, F32))
	c.that(op.Max >= 0, "Max is %g", op.Max)
	for i := range op.Params {
		p := &op.Params[i]
		c.layer = p.Name
		c.reads("Grad", p.Grad, matrix(p.Grad.Rows, p.Grad.Cols, F32))
	}
}
