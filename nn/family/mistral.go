package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"mistral"}, Targets: []string{"q_proj", "v_proj"}, read: mistral})
}

// mistral reads Mistral 7B (Jiang et al. 2023) and its successors: Llama with a sliding
// window in every layer.
func mistral(f *file) *nn.Config {
	return mistralLayers(f, mistralKind{
		defaults: defaults{hidden: 4096, layers: 32, vocabulary: 32000, positions: 131072, bos: 1, eos: []int32{2}, pad: -1},
		eps:      1e-6, window: 4096,
	})
}

// A mistralKind holds the differences between Mistral's relatives.
type mistralKind struct {
	defaults
	dim    int // head_dim; 0: hidden/heads
	eps    float64
	window int
	types  bool // layer_types lists the layers with the window
	growth bool // scale queries by position
}

// mistralLayers reads Llama with a sliding window.
func mistralLayers(f *file, k mistralKind) *nn.Config {
	c := f.config(k.defaults)
	h := f.heads(c, 32, 8, k.dim)
	size := f.size("intermediate_size", 14336, 1<<19)
	eps := f.eps("rms_norm_eps", k.eps)
	act := f.activation("hidden_act", "silu")
	slides := make([]bool, c.Layers)
	for i := range slides {
		slides[i] = true
	}
	if k.types {
		slides = f.slides(c.Layers, everyLayer)
	}
	layerWindows := windows(slides, f.window(k.window))
	positions := f.rope(c, h.dim, ropeDefaults{})
	if k.growth {
		f.growth(&positions)
	}

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoderIn(f.module(), rms(f.module()+".norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at(f.module()+".layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, false, false)
			attention.Positions, attention.Window = rope, layerWindows[i]
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: rms(at+"input_layernorm", c.Hidden, eps), Part: attention},
				&nn.Branch{Norm: rms(at+"post_attention_layernorm", c.Hidden, eps), Part: gated(at+"mlp.", act, c.Hidden, size, false)},
			))
		}
		return t
	}
	return c
}
