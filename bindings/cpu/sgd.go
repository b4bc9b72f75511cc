package cpu

import "qlora/bindings"

// sgdStep computes torch.optim.SGD's single-tensor path.
type sgdStep struct {
	clip, decay, lr, momentum, fresh float32
	first, nesterov                  bool
}

func newSGDStep(r bindings.SGD, lr, decay float64, t int, clip float32) *sgdStep {
	return &sgdStep{
		clip: clip, decay: float32(decay), lr: float32(-lr),
		momentum: float32(r.Momentum), fresh: float32(1 - r.Dampening),
		first: t == 1, nesterov: r.Nesterov,
	}
}

func (s *sgdStep) run(w, g, m, _ []float32) {
	g = g[:len(w)]
	for i := range w {
		grad := g[i] * s.clip
		if s.decay != 0 {
			grad = fma(s.decay, w[i], grad)
		}
		if m != nil {
			grad = s.mean(&m[i], grad)
		}
		w[i] = fma(s.lr, grad, w[i])
	}
}

// mean updates the momentum and returns the weight's update.
func (s *sgdStep) mean(m *float32, grad float32) float32 {
	if s.first {
		*m = grad
	} else {
		*m = fma(s.fresh, grad, float32(*m*s.momentum))
	}
	if s.nesterov {
		return fma(s.momentum, *m, grad)
	}
	return *m
}
