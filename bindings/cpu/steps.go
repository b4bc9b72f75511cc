package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// newAdamStep returns torch.optim.AdamW's step, or bitsandbytes' for moments in 8 bits.
func newAdamStep(r bindings.AdamW, lr, decay float64, t int, clip float32, bitsandbytes bool) *vector.AdamW {
	return &vector.AdamW{
		Clip: clip, Decay: float32(1 - lr*decay),
		Beta1: float32(r.Beta1), Fresh1: float32(1 - r.Beta1),
		Beta2: float32(r.Beta2), Fresh2: float32(1 - r.Beta2),
		Step:  float32(-lr / (1 - math.Pow(r.Beta1, float64(t)))),
		Root2: float32(math.Sqrt(1 - math.Pow(r.Beta2, float64(t)))), Eps: float32(r.Eps),
		Bitsandbytes: bitsandbytes,
	}
}

// newLionStep returns bitsandbytes' step.
func newLionStep(r bindings.Lion, lr, decay float64, clip float32) *vector.Lion {
	return &vector.Lion{
		Clip: clip, Decay: float32(1 - lr*decay), LR: float32(lr),
		Beta1: float32(r.Beta1), Fresh1: float32(1 - r.Beta1),
		Beta2: float32(r.Beta2), Fresh2: float32(1 - r.Beta2),
	}
}

// newSGDStep returns torch.optim.SGD's step.
func newSGDStep(r bindings.SGD, lr, decay float64, t int, clip float32) *vector.SGD {
	return &vector.SGD{
		Clip: clip, Decay: float32(decay), LR: float32(lr),
		Momentum: float32(r.Momentum), Fresh: float32(1 - r.Dampening),
		First: t == 1, Nesterov: r.Nesterov,
	}
}
