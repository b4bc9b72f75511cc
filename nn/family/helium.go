package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"helium"}, read: helium})
}

// helium reads Helium 1: Llama with interleaved RoPE.
func helium(f *file) *nn.Config {
	c := f.config(defaults{hidden: 2560, layers: 24, vocabulary: 48000, positions: 4096, bos: 1, eos: []int32{2}, pad: 3})
	h := f.squareHeads(c, 20, 20, 128)
	size := f.size("intermediate_size", 7040, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-8)
	act := f.activation("hidden_act", "silu")
	bias, mlpBias := f.bool("attention_bias", false), f.bool("mlp_bias", false)
	positions := f.rope(c, h.dim, ropeDefaults{theta: 100000})
	positions.interleaved = true

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, false)
			attention.Positions = rope
			t.Layers = append(t.Layers, preNorm(at, c.Hidden, eps, attention, gated(at+"mlp.", act, c.Hidden, size, mlpBias)))
		}
		return t
	}
	return c
}
