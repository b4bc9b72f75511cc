package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"smollm3"}, read: smollm3})
}

// smollm3 reads SmolLM3 (Bakouch et al. 2025): Llama with RoPE except in every fourth
// layer.
func smollm3(f *file) *nn.Config {
	c := f.config(defaults{hidden: 2048, layers: 36, vocabulary: 128256, positions: 32768, tied: true, bos: 128000, eos: []int32{128001}, pad: 128004})
	h := f.heads(c, 16, 4, 0)
	size := f.size("intermediate_size", 11008, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-6)
	act := f.activation("hidden_act", "silu")
	attentionBias, mlpBias := f.bool("attention_bias", false), f.bool("mlp_bias", false)
	rotates := f.rotates(c.Layers)
	window, use := f.window(0), f.bool("use_sliding_window", false)
	layerWindows := windows(f.slides(c.Layers, func(layer int) bool { return use && !rotates[layer] }), window)
	positions := f.rope(c, h.dim, ropeDefaults{theta: 2000000})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, attentionBias, attentionBias)
			attention.Window = layerWindows[i]
			if rotates[i] {
				attention.Positions = rope
			}
			t.Layers = append(t.Layers, preNorm(at, c.Hidden, eps, attention, gated(at+"mlp.", act, c.Hidden, size, mlpBias)))
		}
		return t
	}
	return c
}

// rotates returns which layers use RoPE: those with a 1 in no_rope_layers.
func (f *file) rotates(layers int) []bool {
	every := f.size("no_rope_layer_interval", 4, 1<<12)
	var given []int
	f.value("no_rope_layers", &given)
	if f.has("no_rope_layers") && len(given) != layers {
		f.fail("no_rope_layers names %d layers of %d", len(given), layers)
		given = nil
	}
	all := make([]bool, layers)
	for i := range all {
		all[i] = (i+1)%every != 0
		if given != nil {
			all[i] = given[i] != 0
		}
	}
	return all
}
