package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"mistral"}, Targets: []string{"q_proj", "v_proj"}, read: mistral})
}

// mistral is Mistral 7B (Jiang et al. 2023) and its successors: Llama with a sliding
// window in every layer.
func mistral(f *file) *nn.Config {
	c := f.config(defaults{hidden: 4096, layers: 32, vocabulary: 32000, positions: 131072, bos: 1, eos: []int32{2}, pad: -1})
	h := f.heads(c, 32, 8, 0)
	size := f.size("intermediate_size", 14336, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-6)
	act := f.activation("hidden_act", "silu")
	window := f.window(4096)
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, false, false)
			attention.Positions, attention.Window = rope, window
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: rms(at+"input_layernorm", c.Hidden, eps), Part: attention},
				&nn.Branch{Norm: rms(at+"post_attention_layernorm", c.Hidden, eps), Part: gated(at+"mlp.", act, c.Hidden, size, false)},
			))
		}
		return t
	}
	return c
}
