package family

import (
	"encoding/json"
	"maps"

	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"gemma3_text"}, Targets: []string{"q_proj", "v_proj"}, read: gemma3})
	register(Family{Types: []string{"gemma3"}, read: func(f *file) *nn.Config {
		return f.language(language{text: "gemma3_text", read: kinds{"gemma3_text": gemma3}, tied: true, prefixes: llavaPrefixes, beside: llavaBeside})
	}})
}

// gemma3 reads the text part of Gemma 3 (Gemma Team 2025): Gemma 2 with a norm on each
// query and key head, without the cap on scores, with five sliding-window layers per
// full layer, and with separate RoPE tables for the two kinds.
func gemma3(f *file) *nn.Config {
	d := gemmaDefaults
	d.vocabulary, d.positions = 262208, 131072
	c := f.config(d)
	k := f.gemmaLayer(c)
	k.headNorms = true
	final := f.limit("final_logit_softcapping", 0)
	pattern := f.size("sliding_window_pattern", 6, 1<<12)
	slides, window := f.slides(c.Layers, func(layer int) bool { return (layer+1)%pattern != 0 }), f.window(4096)
	full := f.gemma3Rope(c, k.dim, "full_attention", "rope_theta", 1e6)
	sliding := f.gemma3Rope(c, k.dim, "sliding_attention", "rope_local_base_freq", 1e4)

	c.Compose = func() *nn.Transformer {
		fullRope, slidingRope := full.table(), sliding.table()
		t := gemmaDecoder(f.module(), c.Hidden, k.eps)
		t.Head.Cap = final
		for i := range c.Layers {
			at := at(f.module()+".layers", i)
			if slides[i] {
				t.Layers = append(t.Layers, k.layer(at, slidingRope, window))
			} else {
				t.Layers = append(t.Layers, k.layer(at, fullRope, 0))
			}
		}
		return t
	}
	return c
}

// gemma3Rope reads the RoPE parameters of one kind of layer. rope_scaling applies to
// full_attention only; thetaKey is the key of the default theta.
func (f *file) gemma3Rope(c *nn.Config, dim int, kind, thetaKey string, theta float64) rope {
	var kinds map[string]map[string]json.RawMessage
	f.value("rope_parameters", &kinds)
	params := map[string]json.RawMessage{}
	maps.Copy(params, kinds[kind])
	if kind == "full_attention" {
		var scaling map[string]json.RawMessage
		f.value("rope_scaling", &scaling)
		maps.Copy(params, scaling)
	}
	text, err := json.Marshal(params)
	if err != nil {
		f.fail("rope_parameters: %w", err)
	}
	one := &file{keys: map[string]json.RawMessage{"rope_parameters": text}, asked: map[string]bool{}, modelType: f.modelType, err: f.err}
	r := one.rope(c, dim, ropeDefaults{theta: f.float(thetaKey, theta)})
	f.err = one.err
	return r
}
