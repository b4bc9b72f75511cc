package family

import (
	"encoding/json"
	"fmt"
	"math"

	"qlora/nn"
)

// ropeFile is rope_parameters or rope_scaling.
type ropeFile struct {
	Type            string    `json:"type"`
	RopeType        string    `json:"rope_type"`
	Theta           *float64  `json:"rope_theta"`
	Factor          *float64  `json:"factor"`
	LowFreqFactor   *float64  `json:"low_freq_factor"`
	HighFreqFactor  *float64  `json:"high_freq_factor"`
	OriginalMax     *int      `json:"original_max_position_embeddings"`
	AttentionFactor *float64  `json:"attention_factor"`
	BetaFast        *float64  `json:"beta_fast"`
	BetaSlow        *float64  `json:"beta_slow"`
	MScale          *float64  `json:"mscale"`
	MScaleAllDim    *float64  `json:"mscale_all_dim"`
	Truncate        *bool     `json:"truncate"`
	PartialRotary   *float64  `json:"partial_rotary_factor"`
	Alpha           *float64  `json:"alpha"`
	ShortFactor     []float64 `json:"short_factor"`
	LongFactor      []float64 `json:"long_factor"`
}

// ropeDefaults are a family's defaults.
type ropeDefaults struct {
	theta   float64 // 0: 10000
	partial float64 // rotated share of a head; 0: the whole head, and other values are an error
	// part is the key in rope_parameters of the kind of layer ("sliding_attention");
	// "": rope_parameters has one set.
	part string
	// original is the class's original_max_position_embeddings, which takes precedence
	// over the one in rope_scaling; 0: none.
	original int
}

// A rope holds a file's RoPE parameters; table makes a table from them.
type rope struct {
	params      nn.Rope
	long        *nn.Rope // longrope's table for long sequences
	dims        int
	interleaved bool
	growth      float64 // nn.Rope.Growth of queries
}

// table returns a new table of r.
func (r rope) table() *nn.Rotary {
	if r.dims == 0 {
		return nil
	}
	t := &nn.Rotary{Rope: r.params, Dims: r.dims, Interleaved: r.interleaved}
	if r.long != nil {
		t.Switch = r.params.OriginalMax
		t.Long = &nn.Rotary{Rope: *r.long, Dims: r.dims, Interleaved: r.interleaved}
	}
	if r.growth != 0 {
		t.Queries = &nn.Rotary{Rope: r.params, Dims: r.dims, Interleaved: r.interleaved}
		t.Queries.Rope.Growth = r.growth
	}
	return t
}

// rope reads the RoPE parameters of heads of dim dimensions, in transformers 4's and
// 5's format (modeling_rope_utils.py).
func (f *file) rope(c *nn.Config, dim int, d ropeDefaults) rope {
	if d.theta == 0 {
		d.theta = 10000
	}
	p := f.ropeFile(d.part)
	if d.part == "" {
		original := d.original
		if original == 0 {
			original = or(p.OriginalMax, c.MaxPositions)
		}
		original = f.int("original_max_position_embeddings", original)
		p.OriginalMax = &original
	}
	return f.ropeOf(c, dim, p, f.float("rope_theta", d.theta), d.partial)
}

// ropeOf returns the rope that p describes for heads of dim dimensions. theta and
// partial are as in ropeDefaults.
func (f *file) ropeOf(c *nn.Config, dim int, p *ropeFile, theta, partial float64) rope {
	r := nn.Rope{
		Type:            p.RopeType,
		Theta:           or(p.Theta, theta),
		Factor:          or(p.Factor, 0),
		LowFreqFactor:   or(p.LowFreqFactor, 0),
		HighFreqFactor:  or(p.HighFreqFactor, 0),
		OriginalMax:     or(p.OriginalMax, c.MaxPositions),
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
	if (r.Type == "su" || r.Type == "yarn") && len(p.ShortFactor) > 0 {
		r.Type = "longrope"
	}
	whole := partial == 0
	if whole {
		partial = 1
	}
	partial = or(p.PartialRotary, f.float("partial_rotary_factor", partial))
	if whole && partial != 1 {
		f.fail("partial_rotary_factor %v is not supported for %s; it must be 1", partial, f.modelType)
	}
	out := rope{dims: int(float64(dim) * partial)}
	if !(partial > 0 && partial <= 1) || out.dims < 2 {
		f.fail("partial_rotary_factor is %v; it must be above 0 and at most 1, and leave two dimensions of %d", partial, dim)
		return out
	}
	if out.dims%2 != 0 {
		f.fail("head_dim %d is odd; rotary positions need pairs, and %d dimensions are rotated", dim, out.dims)
		return out
	}
	if err := checkRope(&r, p, c.MaxPositions); err != nil {
		f.fail("%w", err)
		return out
	}
	if r.Type == "longrope" {
		f.longRope(&out, r, p, c)
		return out
	}
	out.params = r
	return out
}

// ropeFile returns the parameters of a part; rope_scaling replaces rope_parameters if
// the file has both.
func (f *file) ropeFile(part string) *ropeFile {
	p := &ropeFile{}
	key := "rope_parameters"
	if f.has("rope_scaling") {
		key = "rope_scaling"
	}
	f.asked["rope_parameters"], f.asked["rope_scaling"] = true, true
	if part != "" && f.has(key) {
		var parts map[string]json.RawMessage
		f.value(key, &parts)
		if raw, ok := parts[part]; ok {
			if err := json.Unmarshal(raw, p); err != nil {
				f.fail("%s.%s: %w", key, part, err)
			}
			return p
		}
	}
	f.value(key, p)
	return p
}

func checkRope(r *nn.Rope, p *ropeFile, maxPositions int) error {
	if !(r.Theta > 0) || math.IsInf(r.Theta, 0) {
		return fmt.Errorf("rope_theta is %v; it must be positive", r.Theta)
	}
	switch r.Type {
	case "default", "longrope":
		return nil
	case "linear", "llama3", "yarn":
	default:
		return fmt.Errorf("rope_type %q is not supported; use default, linear, llama3, yarn or longrope", r.Type)
	}
	if r.Type == "yarn" && p.Factor == nil && r.OriginalMax > 0 {
		r.Factor = float64(maxPositions) / float64(r.OriginalMax)
	}
	if !(r.Factor > 0) {
		return fmt.Errorf("rope_type %s needs a positive factor, not %v", r.Type, r.Factor)
	}
	if r.OriginalMax < 1 {
		return fmt.Errorf("original_max_position_embeddings is %d; it must be positive", r.OriginalMax)
	}
	if r.Type == "llama3" && !(r.HighFreqFactor > r.LowFreqFactor && r.LowFreqFactor > 0) {
		return fmt.Errorf("rope_type llama3 needs 0 < low_freq_factor < high_freq_factor, not %v and %v", r.LowFreqFactor, r.HighFreqFactor)
	}
	return nil
}

// longRope sets the two tables of LongRoPE (Ding et al. 2024), with a factor for each
// pair of dimensions. A micro-batch uses the long one if its longest sequence exceeds
// the original context.
func (f *file) longRope(out *rope, r nn.Rope, p *ropeFile, c *nn.Config) {
	if n := out.dims / 2; len(p.ShortFactor) != n || len(p.LongFactor) != n {
		f.fail("rope_scaling has %d short and %d long factors; %d rotated dimensions need %d of each", len(p.ShortFactor), len(p.LongFactor), out.dims, n)
		return
	}
	if r.OriginalMax < 1 {
		f.fail("original_max_position_embeddings is %d; it must be positive", r.OriginalMax)
		return
	}
	if r.AttentionFactor == 0 {
		factor := or(p.Factor, float64(c.MaxPositions)/float64(r.OriginalMax))
		r.AttentionFactor = 1
		if factor > 1 {
			r.AttentionFactor = math.Sqrt(1 + math.Log(factor)/math.Log(float64(r.OriginalMax)))
		}
	}
	long := r
	r.Factors, long.Factors = p.ShortFactor, p.LongFactor
	out.params, out.long = r, &long
}

// or returns *p, or def if p is nil.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// orFloat returns *p, or def if p is nil or *p is 0 (as transformers treats betas).
func orFloat(p *float64, def float64) float64 {
	if p == nil || *p == 0 {
		return def
	}
	return *p
}
