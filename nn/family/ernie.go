package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"ernie4_5"}, read: ernie})
}

// ernie reads ERNIE 4.5 without experts: Llama with interleaved RoPE and, with
// use_bias, biases everywhere except in the head.
func ernie(f *file) *nn.Config {
	c := f.config(defaults{hidden: 1024, layers: 18, vocabulary: 103424, positions: 131072, tied: true, bos: 1, eos: []int32{2}, pad: 0})
	h := f.heads(c, 16, 2, 128)
	h.dropout = 0 // config.json's value is not used
	size := f.size("intermediate_size", 3072, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-5)
	act := f.activation("hidden_act", "silu")
	bias := f.bool("use_bias", false)
	positions := f.rope(c, h.dim, ropeDefaults{theta: 500000})
	positions.interleaved = true

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			attention.Positions = rope
			t.Layers = append(t.Layers, preNorm(at, c.Hidden, eps, attention, gated(at+"mlp.", act, c.Hidden, size, bias)))
		}
		return t
	}
	return c
}
