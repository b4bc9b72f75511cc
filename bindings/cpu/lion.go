package cpu

import "qlora/bindings"

// lionStep computes bitsandbytes' Lion.
type lionStep struct {
	clip, decay, beta1, fresh1, beta2, fresh2, lr float32
}

func newLionStep(r bindings.Lion, lr, decay float64, clip float32) *lionStep {
	return &lionStep{
		clip: clip, decay: float32(1 - lr*decay), lr: float32(lr),
		beta1: float32(r.Beta1), fresh1: float32(1 - r.Beta1),
		beta2: float32(r.Beta2), fresh2: float32(1 - r.Beta2),
	}
}

func (s *lionStep) run(w, g, m, _ []float32) {
	g, m = g[:len(w)], m[:len(w)]
	for i := range w {
		grad := g[i] * s.clip
		x := float32(w[i] * s.decay)
		switch direction := fma(s.fresh1, grad, float32(m[i]*s.beta1)); {
		case direction > 0:
			x -= s.lr
		case direction < 0:
			x += s.lr
		}
		w[i] = x
		m[i] = fma(s.fresh2, grad, float32(m[i]*s.beta2))
	}
}
