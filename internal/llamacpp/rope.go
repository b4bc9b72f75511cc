package llamacpp

import (
	"encoding/binary"
	"maps"
	"math"
)

// A ropeKind says how an architecture stores rotary positions.
type ropeKind struct {
	none    bool
	theta   float64 // a class's default of rope_theta; 0: 10000
	partial float64 // a class's default of partial_rotary_factor; 0: whole heads
	share   string  // the class's own key for that share; "": partial_rotary_factor
	base    string  // the class's own key for theta; "": rope_theta
}

// Theta's default in llama.cpp and in transformers.
const defaultTheta = 10000

// rope sets rope_theta, rope_scaling and the share of a head that is rotated.
func (r *reading) rope() {
	k := r.arch.rope
	if k.none {
		return
	}
	theta := r.float("rope.freq_base", defaultTheta)
	r.set(or(k.base, "rope_theta"), theta)
	size := r.headSize()
	dims := r.int("rope.dimension_count", size)
	if dims < 2 || dims > size {
		r.fail("%s.rope.dimension_count is %d for heads of %d features", r.arch.Name, dims, size)
		return
	}
	if k.partial != 0 {
		r.set(or(k.share, "partial_rotary_factor"), float64(dims)/float64(size))
	} else if dims != size {
		r.fail("%s.rope.dimension_count is %d for heads of %d features, and %s rotates whole heads", r.arch.Name, dims, size, r.arch.Type)
		return
	}
	if scaling := r.scaling(theta, int(dims)); scaling != nil {
		r.set("rope_scaling", map[string]any(scaling))
	}
}

// scaling returns rope_scaling, or nil.
func (r *reading) scaling(theta float64, dims int) config {
	name := r.arch.Name + ".rope.scaling."
	kind := r.meta.Text(name + "type")
	factor := r.float("rope.scaling.factor", 0)
	if old := r.float("rope.scale_linear", 0); old > 0 && old != 1 && kind == "" {
		kind, factor = "linear", old
	}
	original := r.int("rope.scaling.original_context_length", 0)
	if long := r.factors("rope_factors_long.weight", dims); long != nil {
		return r.longRope(long, r.factors("rope_factors_short.weight", dims), original)
	}
	if f := r.factors("rope_freqs.weight", dims); f != nil {
		if kind != "" && kind != "none" {
			r.fail("%stype is %q beside rope_freqs.weight, which is not supported", name, kind)
		}
		return r.frequencies(f, theta)
	}
	switch kind {
	case "", "none":
		return nil
	case "linear":
		if factor == 0 || factor == 1 {
			return nil
		}
		return config{"rope_type": "linear", "factor": factor}
	case "yarn":
		s := config{"rope_type": "yarn", "factor": factor}
		if original > 0 {
			s["original_max_position_embeddings"] = original
		}
		for key, own := range map[string]string{"yarn_attn_factor": "attention_factor", "yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow"} {
			if r.present("rope.scaling." + key) {
				s[own] = r.float("rope.scaling."+key, 0)
			}
		}
		if m := r.float("rope.scaling.yarn_log_multiplier", 0); m != 0 {
			s["mscale"], s["mscale_all_dim"] = m, m
		}
		if x := r.float("rope.scaling.yarn_ext_factor", 1); x != 1 {
			r.fail("%syarn_ext_factor is %v, which is not supported", name, x)
		}
		return s
	}
	r.fail("%stype %q is not supported", name, kind)
	return nil
}

// longRope returns rope_scaling of LongRoPE.
func (r *reading) longRope(long, short []float64, original int64) config {
	if short == nil {
		r.fail("the tensor rope_factors_short.weight is missing")
	}
	s := config{"rope_type": "longrope", "long_factor": long, "short_factor": short}
	most := r.int("context_length", 0)
	if original <= 0 {
		original = most
	}
	s["original_max_position_embeddings"] = original
	r.set("original_max_position_embeddings", original)
	if a := r.float("rope.scaling.attn_factor", 0); a != 0 && math.Abs(a-longRopeScale(most, original)) > 1e-6 {
		s["attention_factor"] = a
	}
	return s
}

// longRopeScale returns LongRoPE's factor on the attention for contexts grown from original to most.
func longRopeScale(most, original int64) float64 {
	if most <= original || original < 2 {
		return 1
	}
	return math.Sqrt(1 + math.Log(float64(most)/float64(original))/math.Log(float64(original)))
}

// factors returns a tensor of dims/2 factors in F32, or nil if there is none.
func (r *reading) factors(name string, dims int) []float64 {
	t, ok := r.file.Tensor(name)
	if !ok {
		return nil
	}
	if t.Type.String() != "F32" || t.Elements() != dims/2 {
		r.fail("the tensor %s must have %d elements of F32", name, dims/2)
		return nil
	}
	out := make([]float64, t.Elements())
	for i := range out {
		out[i] = decimal(float64(math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))))
		if !(out[i] > 0) || math.IsInf(out[i], 0) {
			r.fail("the tensor %s has the factor %v", name, out[i])
		}
	}
	return out
}

// frequencies returns rope_scaling for factors of the wavelengths: Llama 3's, if they are its,
// else LongRoPE with the same factors for any length.
func (r *reading) frequencies(f []float64, theta float64) config {
	for _, c := range llama3s(f, theta) {
		if matches(f, c.factors(theta, 2*len(f))) {
			return config{
				"rope_type": "llama3", "factor": c.factor, "low_freq_factor": c.low, "high_freq_factor": c.high,
				"original_max_position_embeddings": int64(c.original),
			}
		}
	}
	most := r.int("context_length", 0)
	r.set("original_max_position_embeddings", most)
	return config{"rope_type": "longrope", "long_factor": f, "short_factor": f, "original_max_position_embeddings": most, "attention_factor": 1.0}
}

// A llama3 holds the parameters of Llama 3's scaling.
type llama3 struct{ factor, low, high, original float64 }

// factors returns the factor on each wavelength of dims/2.
func (c llama3) factors(theta float64, dims int) []float64 {
	out := make([]float64, dims/2)
	for i := range out {
		wave := 2 * math.Pi * math.Pow(theta, 2*float64(i)/float64(dims))
		switch {
		case wave < c.original/c.high:
			out[i] = 1
		case wave > c.original/c.low:
			out[i] = c.factor
		default:
			smooth := (c.original/wave - c.low) / (c.high - c.low)
			out[i] = 1 / ((1-smooth)/c.factor + smooth)
		}
	}
	return out
}

// llama3s returns parameters that may have made the factors f: the published ones with f's
// greatest factor, and those that two factors between 1 and it determine for low_freq_factor 1.
func llama3s(f []float64, theta float64) []llama3 {
	factor := f[len(f)-1]
	all := []llama3{{factor, 1, 4, 8192}}
	var at []int // factors between
	for i, x := range f {
		if x > 1 && x < factor {
			at = append(at, i)
		}
	}
	if len(at) < 2 || factor <= 1 {
		return all
	}
	// smooth = (original/wave - low)/(high - low) is linear in 1/wave.
	line := func(i int) (x, y float64) {
		wave := 2 * math.Pi * math.Pow(theta, float64(i)/float64(len(f)))
		return 1 / wave, (1/f[i] - 1/factor) / (1 - 1/factor)
	}
	x0, y0 := line(at[0])
	x1, y1 := line(at[len(at)-1])
	slope := (y1 - y0) / (x1 - x0)
	start := y0 - slope*x0 // -low/(high-low)
	if !(slope > 0) || !(start < 0) {
		return all
	}
	const low = 1
	high := low - low/start
	original := math.Round(slope * (high - low))
	return append(all, llama3{factor, low, math.Round(high*1e4) / 1e4, original}, llama3{factor, low, high, original})
}

// matches reports whether two lists of factors are the same up to a few roundings to float32.
func matches(a, b []float64) bool {
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-5*a[i] {
			return false
		}
	}
	return true
}

// ropeSettings returns theta, the share of a head that is rotated, and the settings of the
// scaling, of either format of config.json.
func (w *writing) ropeSettings(part string) (theta, share float64, s config) {
	k := w.Architecture.rope
	s = config{}
	maps.Copy(s, w.config.object("rope_parameters"))
	if part != "" && s.has(part) {
		s = s.object(part)
	}
	if w.config.has("rope_scaling") {
		s = w.config.object("rope_scaling")
	}
	base := k.theta
	if base == 0 {
		base = defaultTheta
	}
	theta = s.float("rope_theta", w.config.float(or(k.base, "rope_theta"), w.config.float("rope_theta", base)))
	share = k.partial
	if share == 0 {
		share = 1
	}
	share = s.float("partial_rotary_factor", w.config.float(or(k.share, "partial_rotary_factor"), w.config.float("partial_rotary_factor", share)))
	return theta, share, s
}

// rope writes the keys of the rotary positions.
func (w *writing) rope() {
	k := w.Architecture.rope
	if k.none {
		return
	}
	theta, share, s := w.ropeSettings("full_attention")
	dims := int(float64(w.headSize()) * share)
	if dims < 2 || dims%2 != 0 || dims > w.headSize() {
		w.fail("%d of %d features of a head are rotated, which llama.cpp cannot do", dims, w.headSize())
		return
	}
	w.setCount("rope.dimension_count", int64(dims))
	w.setNumber("rope.freq_base", theta)
	w.scaling(theta, dims, s)
}

// scaling writes rope_scaling.
func (w *writing) scaling(theta float64, dims int, s config) {
	kind := s.text("rope_type", s.text("type", "default"))
	most := w.config.int("max_position_embeddings", 0)
	original := s.int("original_max_position_embeddings", w.config.int("original_max_position_embeddings", most))
	if (kind == "su" || kind == "yarn") && s.has("short_factor") {
		kind = "longrope"
	}
	switch kind {
	case "default", "mrope":
	case "linear":
		w.set("rope.scaling.type", "linear")
		w.setNumber("rope.scaling.factor", s.float("factor", 1))
	case "yarn":
		w.set("rope.scaling.type", "yarn")
		w.setNumber("rope.scaling.factor", s.float("factor", float64(most)/float64(max(original, 1))))
		w.setCount("rope.scaling.original_context_length", original)
		for own, key := range map[string]string{"attention_factor": "yarn_attn_factor", "beta_fast": "yarn_beta_fast", "beta_slow": "yarn_beta_slow"} {
			if s.has(own) {
				w.setNumber("rope.scaling."+key, s.float(own, 0))
			}
		}
	case "llama3":
		c := llama3{s.float("factor", 8), s.float("low_freq_factor", 1), s.float("high_freq_factor", 4), float64(s.int("original_max_position_embeddings", 8192))}
		w.addFactors("rope_freqs.weight", c.factors(theta, dims), dims)
	case "longrope":
		w.set("rope.scaling.type", "longrope")
		w.setCount("rope.scaling.original_context_length", original)
		w.setNumber("rope.scaling.attn_factor", s.float("attention_factor", longRopeScale(most, original)))
		w.addFactors("rope_factors_long.weight", s.floats("long_factor"), dims)
		w.addFactors("rope_factors_short.weight", s.floats("short_factor"), dims)
	default:
		w.fail("rope_type %q has no form in GGUF", kind)
	}
}

func (w *writing) addFactors(name string, f []float64, dims int) {
	if len(f) != dims/2 {
		w.fail("rope_scaling has %d factors for %d rotated features", len(f), dims)
	}
	e := Extra{Name: name}
	for _, x := range f {
		e.Values = append(e.Values, float32(x))
	}
	w.extra = append(w.extra, e)
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}
