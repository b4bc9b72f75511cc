package conformance

import (
	"math"

	"qlora/bindings"
)

// moved returns a weight and its moments after one step of the operation's rule, in
// float64; g is the clipped gradient. Moments that the rule does not keep are unchanged.
func moved(op *bindings.Optimize, p *bindings.Param, w, g, m, v float64) (w1, m1, v1 float64) {
	lr, decay := op.LR*p.Rate, 0.0
	if p.Decay {
		decay = op.WeightDecay
	}
	switch r := op.Rule.(type) {
	case bindings.AdamW:
		m, v = r.Beta1*m+(1-r.Beta1)*g, r.Beta2*v+(1-r.Beta2)*g*g
		mHat, vHat := m/(1-math.Pow(r.Beta1, float64(op.Step))), v/(1-math.Pow(r.Beta2, float64(op.Step)))
		w = (1-lr*decay)*w - lr*mHat/(math.Sqrt(vHat)+r.Eps)
	case bindings.Lion:
		w = (1-lr*decay)*w - lr*sign(r.Beta1*m+(1-r.Beta1)*g)
		m = r.Beta2*m + (1-r.Beta2)*g
	case bindings.SGD:
		g += decay * w
		if r.Momentum == 0 {
			return w - lr*g, m, v
		}
		if op.Step == 1 {
			m = g
		} else {
			m = r.Momentum*m + (1-r.Dampening)*g
		}
		if r.Nesterov {
			g += r.Momentum * m
		} else {
			g = m
		}
		w -= lr * g
	}
	return w, m, v
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
