package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"cohere"}, read: func(f *file) *nn.Config { return cohere(f, false) }})
	register(Family{Types: []string{"cohere2"}, read: func(f *file) *nn.Config { return cohere(f, true) }})
}

// cohere reads Command R (Cohere 2024): parallel attention and gated network after one
// LayerNorm without bias, and interleaved RoPE:
//
//	out    = in + o(attention(q, k, v of x)) + down(silu(gate(x))·up(x)), x = LayerNorm(in)
//	logits = logit_scale·(LayerNorm(x)·Wᵀ)
//
// Command R+ has a LayerNorm with its own weights on each query and key head. In
// Command R7B three layers of four use a sliding window; the fourth has no positions.
func cohere(f *file, slidingLayers bool) *nn.Config {
	c := f.config(defaults{
		hidden: 8192, layers: 40, vocabulary: 256000, positions: 8192, tied: true, bos: 5, eos: []int32{255001},
	})
	h := f.heads(c, 64, 0, 0)
	size := f.size("intermediate_size", 22528, 1<<19)
	eps := f.eps("layer_norm_eps", 1e-5)
	act := f.activation("hidden_act", "silu")
	bias := f.bool("attention_bias", false)
	scale := f.multiplier("logit_scale", 0.0625)
	if scale == 0 {
		f.refuse("logit_scale", "it must not be 0")
	}
	headNorms, theta := false, 5e5
	slides, window := make([]bool, c.Layers), 0
	if slidingLayers {
		theta = 1e4
		pattern := f.size("sliding_window_pattern", 4, 1<<12)
		slides, window = f.slides(c.Layers, func(layer int) bool { return (layer+1)%pattern != 0 }), f.window(4096)
		if window == 0 { // layers without a window have no positions
			slides = make([]bool, c.Layers)
		}
		f.unset("use_qk_norm")
	} else {
		headNorms = f.bool("use_qk_norm", false)
	}
	positions := f.rope(c, h.dim, ropeDefaults{theta: theta})
	positions.interleaved = true

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(centered("model.norm", c.Hidden, eps))
		t.Head.Scale = scale
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			if slides[i] {
				attention.Window = window
			}
			if slides[i] || !slidingLayers {
				attention.Positions = rope
			}
			if headNorms {
				attention.QNorm = eachHead(at+"self_attn.q_norm", h.count, h.dim, eps)
				attention.KNorm = eachHead(at+"self_attn.k_norm", h.kv, h.dim, eps)
			}
			norm := centered(at+"input_layernorm", c.Hidden, eps)
			t.Layers = append(t.Layers, nn.Parallel(
				&nn.Branch{Norm: norm, Part: attention},
				&nn.Branch{Norm: norm, Part: gated(at+"mlp.", act, c.Hidden, size, false)},
			))
		}
		return t
	}
	return c
}

// centered returns a LayerNorm without bias.
func centered(name string, size int, eps float32) *nn.Norm {
	return &nn.Norm{Name: name, Size: size, Eps: eps, Centered: true}
}

// eachHead returns a per-head LayerNorm without bias, with weight [heads, dim].
func eachHead(name string, heads, dim int, eps float32) *nn.HeadNorm {
	n := centered(name, dim, eps)
	n.Turns = heads
	return &nn.HeadNorm{Norm: *n}
}
