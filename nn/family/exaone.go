package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"exaone4"}, read: exaone4})
}

// exaone4 reads EXAONE 4 (LG AI Research 2025): norms after the branches and on each
// query and key head. With a sliding window, three of four layers use it, and only
// those use RoPE.
func exaone4(f *file) *nn.Config {
	c := f.config(defaults{hidden: 4096, layers: 32, vocabulary: 102400, positions: 2048, bos: 0, eos: []int32{2}, pad: -1})
	h := f.heads(c, 32, 32, 0)
	size := f.size("intermediate_size", 16384, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-5)
	act := f.activation("hidden_act", "silu")
	window := f.window(4096)
	slides := f.exaoneSlides(c.Layers, window)
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, false, false)
			attention.QNorm = headNorm(at+"self_attn.q_norm", h.dim, eps)
			attention.KNorm = headNorm(at+"self_attn.k_norm", h.dim, eps)
			if slides[i] {
				attention.Window = window
			}
			if slides[i] || window == 0 {
				attention.Positions = rope
			}
			t.Layers = append(t.Layers, postNorm(at, c.Hidden, eps, attention, gated(at+"mlp.", act, c.Hidden, size, false)))
		}
		return t
	}
	return c
}

// exaoneSlides returns which layers use the window. If sliding_window_pattern is a
// string, layer_types must list the layers.
func (f *file) exaoneSlides(layers, window int) []bool {
	pattern := 4
	if window > 0 && !f.has("layer_types") {
		pattern = f.size("sliding_window_pattern", pattern, 1<<12)
	}
	return f.slides(layers, func(layer int) bool { return window > 0 && (layer+1)%pattern != 0 })
}
