package nn

import "math"

// Rope defines the angles of rotary positions.
type Rope struct {
	Type            string // "default", "linear", "llama3", "yarn", "longrope"
	Theta           float64
	Factor          float64
	LowFreqFactor   float64   // llama3
	HighFreqFactor  float64   // llama3
	OriginalMax     int       // llama3, yarn: context length before scaling
	AttentionFactor float64   // yarn, longrope: multiplies cos and sin; 0: from Factor
	BetaFast        float64   // yarn
	BetaSlow        float64   // yarn
	MScale          float64   // yarn
	MScaleAllDim    float64   // yarn
	Truncate        bool      // yarn: round the correction range to whole dimensions
	Factors         []float64 // longrope: one factor per pair of dimensions
	// Growth scales rotated vectors by
	// 1 + Growth·ln(1 + floor(position/OriginalMax)) (Llama 4). 0: no scaling.
	Growth float64
}

// Frequencies returns the angle per position, in radians, of each of the dim/2 pairs
// of dimensions, and the factor on cos and sin. It rounds to float32 in the same
// steps as transformers (modeling_rope_utils.py).
func (r *Rope) Frequencies(dim int) (freqs []float32, attention float64) {
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
	case "longrope":
		for i := range freqs {
			exponent := float32(2*i) / float32(dim)
			freqs[i] = 1 / (float32(r.Factors[i]) * float32(math.Pow(r.Theta, float64(exponent))))
		}
		return freqs, r.AttentionFactor
	}
	return freqs, 1
}

// scaleLlama3 divides the frequencies of long wavelengths by Factor, keeps those of
// short ones and interpolates in between (Llama 3.1).
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

// scaleYarn interpolates the low-frequency dimensions and keeps the high-frequency
// ones (Peng et al. 2023). It returns the factor on cos and sin.
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

// angles returns cos and sin, [positions, dim/2] each.
func (r *Rope) angles(positions, dim int) (cos, sin []float32) {
	freqs, attention := r.Frequencies(dim)
	cos = make([]float32, positions*len(freqs))
	sin = make([]float32, positions*len(freqs))
	for p := range positions {
		grown := r.grown(p)
		for i, f := range freqs {
			angle := float64(float32(p) * f)
			cos[p*len(freqs)+i] = float32(math.Cos(angle)) * float32(attention) * grown
			sin[p*len(freqs)+i] = float32(math.Sin(angle)) * float32(attention) * grown
		}
	}
	return cos, sin
}

// grown returns Growth's factor for a position.
func (r *Rope) grown(position int) float32 {
	if r.Growth == 0 {
		return 1
	}
	return 1 + float32(r.Growth)*float32(math.Log1p(math.Floor(float64(position)/float64(r.OriginalMax))))
}
