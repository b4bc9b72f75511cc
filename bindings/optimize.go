package bindings

// Optimize is one optimizer step over all parameters, the gradients multiplied by
// Clip's second element first. With a clip factor that is not finite it leaves
// everything as it was. A device may move all of the parameters in one launch.
//
// In the rules' formulas g is the clipped gradient, lr is LR·Rate of the parameter,
// and wd is WeightDecay where the parameter decays, else 0. Moments in 8 bits are
// expanded, moved in float32 as others are, and quantized again, after the weight
// has moved by them.
type Optimize struct {
	Params      []Param
	Rule        Rule
	LR          float64
	WeightDecay float64
	Step        int    // t, from 1
	Clip        Tensor // F32 [1, 2], GradNorm's Out
}

// A Rule is how an optimizer moves a parameter by its gradient: [AdamW], [Lion] or
// [SGD].
type Rule interface {
	// Moments says which moments the rule keeps of a parameter.
	Moments() (m, v bool)
}

// AdamW is Adam with decoupled weight decay (Loshchilov & Hutter 2019), as
// torch.optim.AdamW and bitsandbytes' AdamW have it:
//
//	w *= 1 - lr·wd    m = β1·m + (1-β1)·g    v = β2·v + (1-β2)·g²
//	w -= lr/(1-β1^t) · m / (sqrt(v)/sqrt(1-β2^t) + Eps)
//
// bitsandbytes' CUDA kernels decay after the update, which differs by lr·wd of it.
type AdamW struct{ Beta1, Beta2, Eps float64 }

// Lion moves every weight by the same amount (Chen et al. 2023), as bitsandbytes'
// Lion has it; sign(0) is 0:
//
//	w *= 1 - lr·wd    w -= lr·sign(β1·m + (1-β1)·g)    m = β2·m + (1-β2)·g
type Lion struct{ Beta1, Beta2 float64 }

// SGD is torch.optim.SGD. Its weight decay is a part of the gradient:
//
//	g += wd·w    m = g at t = 1, then Momentum·m + (1-Dampening)·g
//	w -= lr·m; with Nesterov lr·(g + Momentum·m); without momentum lr·g
type SGD struct {
	Momentum, Dampening float64
	Nesterov            bool
}

// Moments are both.
func (AdamW) Moments() (m, v bool) { return true, true }

// Moments are the first alone.
func (Lion) Moments() (m, v bool) { return true, false }

// Moments are none without momentum.
func (r SGD) Moments() (m, v bool) { return r.Momentum != 0, false }
