package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"qwen2"}, Targets: []string{"q_proj", "v_proj"}, read: qwen2})
	register(Family{Types: []string{"qwen3"}, Targets: []string{"q_proj", "v_proj"}, read: qwen3})
}

// qwen2 reads Qwen 2 and 2.5: Llama with biases on q, k and v and, with
// use_sliding_window, windows in the layers from max_window_layers on.
func qwen2(f *file) *nn.Config {
	return qwen(f, qwenKind{
		defaults: qwenDefaults, heads: 32, kv: 32, size: 22016, eps: 1e-6, biases: true, windows: true, fullLayers: 28,
	})
}

// qwen3 reads Qwen 3: biases only with attention_bias, and a norm on each query and key
// head.
func qwen3(f *file) *nn.Config {
	return qwen(f, qwenKind{
		defaults: qwenDefaults, heads: 32, kv: 32, dim: 128, size: 22016, eps: 1e-6, headNorms: true, windows: true, fullLayers: 28,
	})
}

var qwenDefaults = defaults{hidden: 4096, layers: 32, vocabulary: 151936, positions: 32768, bos: -1, pad: -1}

// A qwenKind holds the differences between the Qwens.
type qwenKind struct {
	defaults
	heads, kv, dim, size int // defaults; dim 0: hidden/heads
	eps, theta           float64
	biases               bool // on q, k and v; else attention_bias decides for all four
	headNorms            bool
	windows              bool // supports sliding windows
	fullLayers           int  // default number of full layers before the sliding ones
}

func qwen(f *file, k qwenKind) *nn.Config {
	c := f.config(k.defaults)
	biases, outBias := k.biases, false
	if !biases {
		outBias = f.bool("attention_bias", false)
		biases = outBias
	}
	h := f.heads(c, k.heads, k.kv, k.dim)
	size := f.size("intermediate_size", k.size, 1<<19)
	eps := f.eps("rms_norm_eps", k.eps)
	act := f.activation("hidden_act", "silu")
	layerWindows := make([]int, c.Layers)
	if k.windows {
		window, use, first := f.window(4096), f.bool("use_sliding_window", false), f.int("max_window_layers", k.fullLayers)
		if !use {
			window = 0
		}
		layerWindows = windows(f.slides(c.Layers, func(layer int) bool { return layer >= first }), window)
	}
	positions := f.rope(c, h.dim, ropeDefaults{theta: k.theta})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoderIn(f.module(), rms(f.module()+".norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at(f.module()+".layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, biases, outBias)
			attention.Positions, attention.Window = rope, layerWindows[i]
			if k.headNorms {
				attention.QNorm = headNorm(at+"self_attn.q_norm", h.dim, eps)
				attention.KNorm = headNorm(at+"self_attn.k_norm", h.dim, eps)
			}
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: rms(at+"input_layernorm", c.Hidden, eps), Part: attention},
				&nn.Branch{Norm: rms(at+"post_attention_layernorm", c.Hidden, eps), Part: gated(at+"mlp.", act, c.Hidden, size, false)},
			))
		}
		return t
	}
	return c
}
