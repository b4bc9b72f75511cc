package cpu

import (
	"math"

	"qlora/bindings"
)

// adamStep computes torch.optim.AdamW's single-tensor path, and bitsandbytes' for
// moments in 8 bits: the two round the first moment differently.
type adamStep struct {
	clip, decay, beta1, fresh1, beta2, fresh2, step, root2, eps float32
	bitsandbytes                                                bool
}

func newAdamStep(r bindings.AdamW, lr, decay float64, t int, clip float32, bitsandbytes bool) *adamStep {
	return &adamStep{
		clip: clip, decay: float32(1 - lr*decay),
		beta1: float32(r.Beta1), fresh1: float32(1 - r.Beta1),
		beta2: float32(r.Beta2), fresh2: float32(1 - r.Beta2),
		step:  float32(-lr / (1 - math.Pow(r.Beta1, float64(t)))),
		root2: float32(math.Sqrt(1 - math.Pow(r.Beta2, float64(t)))), eps: float32(r.Eps),
		bitsandbytes: bitsandbytes,
	}
}

func (s *adamStep) run(w, g, m, v []float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		grad := g[i] * s.clip
		x := float32(w[i] * s.decay)
		switch {
		case s.bitsandbytes:
			m[i] = fma(s.fresh1, grad, float32(m[i]*s.beta1))
		// torch's lerp starts from the moment for a weight below 0.5, else from the gradient.
		case s.fresh1 < 0.5:
			m[i] = fma(s.fresh1, grad-m[i], m[i])
		default:
			m[i] = fma(s.fresh1-1, grad-m[i], grad)
		}
		v[i] = fma(s.fresh2*grad, grad, float32(v[i]*s.beta2))
		denominator := float32(math.Sqrt(float64(v[i])))/s.root2 + s.eps
		w[i] = x + float32(s.step*m[i])/denominator
	}
}
