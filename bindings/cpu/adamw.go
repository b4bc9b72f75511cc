package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/internal/halffloat"
)

// adamPiece is how many elements one goroutine takes at a time.
const adamPiece = 1 << 14

// AdamW does what torch.optim.AdamW's single-tensor CPU path does, rounding
// where it rounds: the moments have torch's bits. A weight may differ in the
// last bit of its change, as torch's square root (MKL's) is not always the
// nearest.
func (d *Device) AdamW(op *bindings.AdamW) {
	if !d.ready(op.Check(), op) {
		return
	}
	clip := f32(op.Clip)[1]
	if math.IsNaN(float64(clip)) || math.IsInf(float64(clip), 0) {
		return
	}
	t := float64(op.Step)
	root2 := math.Sqrt(1 - math.Pow(op.Beta2, t))
	s := adamStep{
		clip: clip, decay: 1,
		lerp:  float32(1 - op.Beta1),
		beta2: float32(op.Beta2), fresh2: float32(1 - op.Beta2),
		step: float32(-op.LR / (1 - math.Pow(op.Beta1, t))), root2: float32(root2), eps: float32(op.Eps),
	}
	for i := range op.Params {
		p := &op.Params[i]
		step := s
		if p.Decay {
			step.decay = float32(1 - op.LR*op.WeightDecay)
		}
		w, g, m, v := f32(p.Master), f32(p.Grad), f32(p.M), f32(p.V)
		d.rows(len(w), adamPiece, func(from, to int) {
			step.run(w[from:to], g[from:to], m[from:to], v[from:to])
			switch p.Value.DType {
			case bindings.BF16:
				halffloat.Float32ToBF16(elements[uint16](p.Value)[from:to], w[from:to])
			case bindings.F16:
				halffloat.Float32ToF16(elements[uint16](p.Value)[from:to], w[from:to])
			default:
				if dst := f32(p.Value)[from:to]; &dst[0] != &w[from] {
					copy(dst, w[from:to])
				}
			}
		})
	}
}

// adamStep is the scalars of a step, each rounded to float32 as torch rounds a
// Python number that meets a float32 tensor.
type adamStep struct {
	clip, decay, lerp, beta2, fresh2, step, root2, eps float32
}

func (s *adamStep) run(w, g, m, v []float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		grad := g[i] * s.clip
		x := float32(w[i] * s.decay)
		// torch's lerp: a weight below a half starts from the moment, another from the gradient.
		if s.lerp < 0.5 {
			m[i] = fma(s.lerp, grad-m[i], m[i])
		} else {
			m[i] = fma(s.lerp-1, grad-m[i], grad)
		}
		v[i] = fma(s.fresh2*grad, grad, float32(v[i]*s.beta2))
		denominator := float32(math.Sqrt(float64(v[i])))/s.root2 + s.eps
		w[i] = x + float32(s.step*m[i])/denominator
	}
}

// fma is a·b + c rounded once, but for the rare sum that lies within 2^-53 of
// halfway between two float32.
func fma(a, b, c float32) float32 { return float32(float64(a)*float64(b) + float64(c)) }
