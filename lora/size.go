package lora

import "math"

// A Size describes the adapter on one module, with patterns and rank-stabilized
// scaling resolved.
type Size struct {
	Module string // "model.layers.0.self_attn.q_proj"
	R      int
	Scale  float32 // of the adapter's output
}

// Sizes returns the adapters that c puts on a model, in the order of m.Linear.
// c.Targets must be resolved.
func (c *Config) Sizes(m ModuleNames) ([]Size, error) {
	picked, err := c.pick(m)
	if err != nil {
		return nil, err
	}
	ranks, err := c.RankPattern.numbers("rank_pattern", picked)
	if err != nil {
		return nil, err
	}
	alphas, err := c.AlphaPattern.numbers("alpha_pattern", picked)
	if err != nil {
		return nil, err
	}
	sizes := make([]Size, len(picked))
	for i, name := range picked {
		r, alpha := c.R, c.Alpha
		if own, ok := ranks[name]; ok {
			r = int(own)
		}
		if own, ok := alphas[name]; ok {
			alpha = own
		}
		sizes[i] = Size{Module: name, R: r, Scale: scale(alpha, r, c.RSLoRA)}
	}
	return sizes, nil
}

// scale returns the factor of an adapter's output: alpha/r, or alpha/sqrt(r) with
// rank-stabilized LoRA (Kalajdzievski 2023, arXiv 2312.03732).
func scale(alpha float64, r int, stabilized bool) float32 {
	if stabilized {
		return float32(alpha / math.Sqrt(float64(r)))
	}
	return float32(alpha / float64(r))
}
