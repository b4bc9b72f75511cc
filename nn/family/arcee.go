package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"arcee"}, read: arcee})
}

// arcee reads AFM: Llama with a feed-forward network without gate, down(relu(up(x))²).
func arcee(f *file) *nn.Config {
	c := f.config(defaults{hidden: 2560, layers: 32, vocabulary: 32000, positions: 4096, bos: 128000, eos: []int32{128001}, pad: -1})
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 18432, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-5)
	act := f.activation("hidden_act", "relu2")
	attentionBias, mlpBias := f.bool("attention_bias", false), f.bool("mlp_bias", false)
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, attentionBias, attentionBias)
			attention.Positions = rope
			mlp := plain(act, nn.Dense(at+"mlp.up_proj", size, c.Hidden, mlpBias), nn.Dense(at+"mlp.down_proj", c.Hidden, size, mlpBias))
			t.Layers = append(t.Layers, preNorm(at, c.Hidden, eps, attention, mlp))
		}
		return t
	}
	return c
}
