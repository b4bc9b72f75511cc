package nn

import (
	"fmt"
	"math"
)

func parseRope(f *configFile, maxPositions int) (Rope, error) {
	p := f.RopeParameters
	if f.RopeScaling != nil {
		p = f.RopeScaling
	}
	if p == nil {
		p = &ropeFile{}
	}
	r := Rope{
		Type:            p.RopeType,
		Theta:           or(p.Theta, or(f.RopeTheta, 10000)),
		Factor:          or(p.Factor, 0),
		LowFreqFactor:   or(p.LowFreqFactor, 0),
		HighFreqFactor:  or(p.HighFreqFactor, 0),
		OriginalMax:     or(p.OriginalMax, maxPositions),
		AttentionFactor: or(p.AttentionFactor, 0),
		BetaFast:        orFloat(p.BetaFast, 32),
		BetaSlow:        orFloat(p.BetaSlow, 1),
		MScale:          or(p.MScale, 0),
		MScaleAllDim:    or(p.MScaleAllDim, 0),
		Truncate:        or(p.Truncate, true),
	}
	if r.Type == "" {
		r.Type = p.Type
	}
	if r.Type == "" {
		r.Type = "default"
	}
	if !(r.Theta > 0) {
		return r, fmt.Errorf("rope_theta is %v; it must be positive", r.Theta)
	}
	if partial := or(p.PartialRotary, or(f.PartialRotary, 1)); partial != 1 {
		return r, fmt.Errorf("partial_rotary_factor %v is not supported for %s", partial, f.ModelType)
	}
	switch r.Type {
	case "default":
		return r, nil
	case "linear", "llama3", "yarn":
	default:
		return r, fmt.Errorf("rope_type %q is not supported; default, linear, llama3 and yarn are", r.Type)
	}
	if r.Type == "yarn" && p.Factor == nil && r.OriginalMax > 0 {
		r.Factor = float64(maxPositions) / float64(r.OriginalMax)
	}
	if !(r.Factor > 0) {
		return r, fmt.Errorf("rope_type %s needs a positive factor, and has %v", r.Type, r.Factor)
	}
	if r.OriginalMax < 1 {
		return r, fmt.Errorf("original_max_position_embeddings is %d; it must be positive", r.OriginalMax)
	}
	if r.Type == "llama3" && !(r.HighFreqFactor > r.LowFreqFactor && r.LowFreqFactor > 0) {
		return r, fmt.Errorf("rope_type llama3 needs 0 < low_freq_factor < high_freq_factor, and has %v and %v", r.LowFreqFactor, r.HighFreqFactor)
	}
	return r, nil
}

// orFloat is *p, or def where p is nil or zero (as transformers treats betas).
func orFloat(p *float64, def float64) float64 {
	if p == nil || *p == 0 {
		return def
	}
	return *p
}

// inverseFrequencies are the angles per position of each pair of dim
// dimensions, and the factor on cos and sin, in transformers' float32 steps
// (modeling_rope_utils.py).
func (r *Rope) inverseFrequencies(dim int) (freqs []float32, attention float64) {
	freqs = make([]float32, dim/2)
	for i := range freqs {
		exponent := float32(2*i) / float32(dim)
		freqs[i] = 1 / float32(math.Pow(r.Theta, float64(exponent)))
	}
	switch r.Type {
	case "linear":
		for i := range freqs {
			freqs[i] /= float32(r.Factor)
		}
	case "llama3":
		r.scaleLlama3(freqs)
	case "yarn":
		return freqs, r.scaleYarn(freqs, dim)
	}
	return freqs, 1
}

// scaleLlama3 divides the long wavelengths by Factor, leaves the short ones,
// and goes smoothly between (Llama 3.1).
func (r *Rope) scaleLlama3(freqs []float32) {
	old := float64(r.OriginalMax)
	for i, f := range freqs {
		wavelength := float64(float32(2*math.Pi) / f)
		switch {
		case wavelength > old/r.LowFreqFactor:
			freqs[i] = f / float32(r.Factor)
		case wavelength >= old/r.HighFreqFactor:
			s := (float32(old)/float32(wavelength) - float32(r.LowFreqFactor)) / float32(r.HighFreqFactor-r.LowFreqFactor)
			freqs[i] = (1-s)*f/float32(r.Factor) + s*f
		}
	}
}

// scaleYarn interpolates the dimensions that turn slowly and keeps those that
// turn fast (Peng et al. 2023), and returns the factor on cos and sin.
func (r *Rope) scaleYarn(freqs []float32, dim int) float64 {
	correction := func(rotations float64) float64 {
		return float64(dim) * math.Log(float64(r.OriginalMax)/(rotations*2*math.Pi)) / (2 * math.Log(r.Theta))
	}
	low, high := correction(r.BetaFast), correction(r.BetaSlow)
	if r.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, float64(dim-1))
	if low == high {
		high += 0.001
	}
	for i, f := range freqs {
		ramp := min(max((float32(i)-float32(low))/float32(high-low), 0), 1)
		keep := 1 - ramp
		freqs[i] = f/float32(r.Factor)*(1-keep) + f*keep
	}
	if r.AttentionFactor != 0 {
		return r.AttentionFactor
	}
	mscale := func(m float64) float64 {
		if r.Factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(r.Factor) + 1
	}
	if r.MScale != 0 && r.MScaleAllDim != 0 {
		return mscale(r.MScale) / mscale(r.MScaleAllDim)
	}
	return mscale(1)
}

// angles fills cos and sin, [positions, dim/2] each.
func (r *Rope) angles(positions, dim int) (cos, sin []float32) {
	freqs, attention := r.inverseFrequencies(dim)
	cos = make([]float32, positions*len(freqs))
	sin = make([]float32, positions*len(freqs))
	for p := range positions {
		for i, f := range freqs {
			angle := float64(float32(p) * f)
			cos[p*len(freqs)+i] = float32(math.Cos(angle)) * float32(attention)
			sin[p*len(freqs)+i] = float32(math.Sin(angle)) * float32(attention)
		}
	}
	return cos, sin
}
