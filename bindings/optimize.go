package bindings

import "qlora/internal/dynamic8"

// Optimize runs one optimizer step over all parameters. It multiplies the gradients by
// Clip's second element first; if that is not finite, it changes nothing. A device may
// update all parameters in one launch.
//
// In the rules' formulas g is the clipped gradient, lr is LR times the parameter's Rate,
// and wd is WeightDecay if the parameter decays, else 0. Moments in 8 bits are
// dequantized, updated in float32, and quantized again after the weight's update.
type Optimize struct {
	Params      []Param
	Rule        Rule
	LR          float64
	WeightDecay float64
	Step        int    // t, from 1
	Clip        Tensor // F32 [1, 2], GradNorm's Out
}

// A Rule is an optimizer's update of a parameter: [AdamW], [Lion] or [SGD].
type Rule interface {
	// Moments reports which moments the rule keeps for a parameter.
	Moments() (m, v bool)
}

// AdamW is Adam with decoupled weight decay (Loshchilov & Hutter 2019), as
// torch.optim.AdamW and bitsandbytes' AdamW compute it:
//
//	w *= 1 - lr·wd    m = β1·m + (1-β1)·g    v = β2·v + (1-β2)·g²
//	w -= lr/(1-β1^t) · m / (sqrt(v)/sqrt(1-β2^t) + Eps)
//
// bitsandbytes' CUDA kernels decay after the update, which changes the update by a
// factor of 1 - lr·wd.
type AdamW struct{ Beta1, Beta2, Eps float64 }

// Lion changes every weight by the same amount (Chen et al. 2023), as bitsandbytes'
// Lion does; sign(0) is 0:
//
//	w *= 1 - lr·wd    w -= lr·sign(β1·m + (1-β1)·g)    m = β2·m + (1-β2)·g
type Lion struct{ Beta1, Beta2 float64 }

// SGD is torch.optim.SGD. It adds weight decay to the gradient:
//
//	g += wd·w    m = g at t = 1, then Momentum·m + (1-Dampening)·g
//	w -= lr·m; with Nesterov lr·(g + Momentum·m); without momentum lr·g
type SGD struct {
	Momentum, Dampening float64
	Nesterov            bool
}

// Moments reports that AdamW keeps both moments.
func (AdamW) Moments() (m, v bool) { return true, true }

// Moments reports that Lion keeps only the first moment.
func (Lion) Moments() (m, v bool) { return true, false }

// Moments reports that SGD keeps the first moment, or none without momentum.
func (r SGD) Moments() (m, v bool) { return r.Momentum != 0, false }

// Name returns "optimize".
func (*Optimize) Name() string { return "optimize" }

func (op *Optimize) declare(c *contract) {
	c.reads("Clip", op.Clip, vector(2, F32))
	c.that(op.Step >= 1, "Step is %d; the first one is 1", op.Step)
	switch op.Rule.(type) {
	case nil:
		c.fail("Rule is absent")
		return
	case AdamW, Lion, SGD:
	default:
		c.fail("Rule is %T; AdamW, Lion and SGD are supported", op.Rule)
		return
	}
	first, second := op.Rule.Moments()
	for i := range op.Params {
		p := &op.Params[i]
		rows, cols := p.Value.Rows, p.Value.Cols
		c.layer = p.Name
		c.updates("Value", p.Value, form{any: true, types: typesOf(floats...)})
		c.updates("Master", p.Master, matrix(rows, cols, F32)).mayBe("Value")
		c.reads("Grad", p.Grad, matrix(rows, cols, F32))
		c.moment("M", "M.Absmax", p.M, rows, cols, first)
		c.moment("V", "V.Absmax", p.V, rows, cols, second)
		if !(p.Rate > 0) {
			c.wrong("Rate", "is %g; it must be above 0", p.Rate)
		}
		if p.Value.samePlace(p.Master) && p.Value.DType != F32 {
			c.wrong("Value", "is its own master but %v", p.Value.DType)
		}
	}
}

// moment declares m of a [rows, cols] parameter as updated. m must be absent unless
// kept is set.
func (c *contract) moment(field, absmax string, m Moment, rows, cols int, kept bool) {
	if !kept {
		if !m.Absent() || !m.Absmax.Absent() {
			c.wrong(field, "is %v, but the rule has no such moment", m.Values)
		}
		return
	}
	c.updates(field, m.Values, matrix(rows, cols, F32, U8))
	if m.Values.DType == U8 {
		c.updates(absmax, m.Absmax, vector(dynamic8.Blocks(rows*cols), F32))
	} else if !m.Absmax.Absent() {
		c.wrong(field, "is in float32 but has an absmax")
	}
}
