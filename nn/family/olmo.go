package family

import (
	"encoding/json"

	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"olmo"}, read: olmo})
	register(Family{Types: []string{"olmo2"}, read: olmo2})
	register(Family{Types: []string{"olmo3"}, read: olmo3})
}

var olmoDefaults = defaults{hidden: 4096, layers: 32, vocabulary: 50304, positions: 2048, bos: -1, eos: []int32{50279}, pad: 1}

// olmo reads OLMo 1 (Groeneveld et al. 2024): Llama with LayerNorms without weights;
// queries, keys and values are clamped to ±clip_qkv, if that is set.
func olmo(f *file) *nn.Config {
	c := f.config(olmoDefaults)
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 11008, 1<<19)
	act := f.activation("hidden_act", "silu")
	bias := f.bool("attention_bias", false)
	clip := f.multiplier("clip_qkv", 0)
	if clip < 0 || clip == 0 && f.has("clip_qkv") {
		f.refuse("clip_qkv", "it must be positive or null")
	}
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		norm := func() *nn.Norm { return &nn.Norm{Size: c.Hidden, Eps: 1e-5, Centered: true, Plain: true} }
		t := decoder(norm())
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			attention.Positions, attention.Clip = rope, clip
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: norm(), Part: attention},
				&nn.Branch{Norm: norm(), Part: gated(at+"mlp.", act, c.Hidden, size, false)},
			))
		}
		return t
	}
	return c
}

// olmo2 reads OLMo 2 (OLMo et al. 2025): norms after the branches, and on the whole row
// of queries and of keys:
//
//	mid = in  + RMSNorm(o(attention(RMSNorm(q(in)), RMSNorm(k(in)), v(in))))
//	out = mid + RMSNorm(down(silu(gate(mid))·up(mid)))
func olmo2(f *file) *nn.Config {
	return olmoPostNorm(f, func(c *nn.Config, h heads) ([]bool, int, rope, rope) {
		full := f.rope(c, h.dim, ropeDefaults{})
		return make([]bool, c.Layers), 0, rope{}, full
	})
}

// olmo3 reads OLMo 3: OLMo 2 with a sliding window except in every fourth layer. Sliding
// and full layers have separate RoPE tables.
func olmo3(f *file) *nn.Config {
	return olmoPostNorm(f, func(c *nn.Config, h heads) ([]bool, int, rope, rope) {
		window := f.window(4096)
		slides := f.slides(c.Layers, func(layer int) bool { return (layer+1)%4 != 0 })
		sliding, full := f.olmo3Ropes(c, h.dim)
		return slides, window, sliding, full
	})
}

// olmoPostNorm reads OLMo 2 or 3. layers returns which layers use a window, its size,
// and the RoPE parameters of sliding and of full layers.
func olmoPostNorm(f *file, layers func(c *nn.Config, h heads) (slides []bool, window int, sliding, full rope)) *nn.Config {
	c := f.config(olmoDefaults)
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 11008, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-5)
	act := f.activation("hidden_act", "silu")
	bias := f.bool("attention_bias", false)
	slides, window, sliding, full := layers(c, h)
	wholeRow := func(name string, heads int) *nn.HeadNorm {
		return &nn.HeadNorm{Norm: *rms(name, heads*h.dim, eps), WholeRow: true}
	}

	c.Compose = func() *nn.Transformer {
		slidingRope, fullRope := sliding.table(), full.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			attention.Positions = fullRope
			if slides[i] {
				attention.Positions, attention.Window = slidingRope, window
			}
			attention.QNorm = wholeRow(at+"self_attn.q_norm", h.count)
			attention.KNorm = wholeRow(at+"self_attn.k_norm", h.kv)
			t.Layers = append(t.Layers, postNorm(at, c.Hidden, eps, attention, gated(at+"mlp.", act, c.Hidden, size, false)))
		}
		return t
	}
	return c
}

// olmo3Ropes reads the RoPE parameters of sliding and of full layers. As in
// transformers, top-level rope_theta and rope_scaling of older files apply to full
// layers only.
func (f *file) olmo3Ropes(c *nn.Config, dim int) (sliding, full rope) {
	const theta = 500000
	var parts map[string]json.RawMessage
	f.value("rope_parameters", &parts)
	of := map[string]*ropeFile{"sliding_attention": {}, "full_attention": {}}
	for kind, raw := range parts {
		if of[kind] == nil {
			f.refuse("rope_parameters", "it must have full_attention and sliding_attention")
			return rope{}, rope{}
		}
		if err := json.Unmarshal(raw, of[kind]); err != nil {
			f.fail("rope_parameters.%s: %w", kind, err)
		}
	}
	f.value("rope_scaling", of["full_attention"])
	if of["full_attention"].RopeType == "" && of["full_attention"].Type != "" {
		f.refuse("rope_scaling", "it must have rope_type")
	}
	sliding = f.ropeOf(c, dim, of["sliding_attention"], theta, 0)
	return sliding, f.ropeOf(c, dim, of["full_attention"], f.float("rope_theta", theta), 0)
}
