package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"seed_oss"}, read: seedOSS})
}

// seedOSS reads Seed-OSS: Llama with biases on q, k and v, and dropout on the branches
// and in attention.
func seedOSS(f *file) *nn.Config {
	c := f.config(defaults{hidden: 4096, layers: 64, vocabulary: 155136, positions: 524288, bos: 0, eos: []int32{2}, pad: 1})
	h := f.heads(c, 80, 8, 128)
	size := f.size("intermediate_size", 27648, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-6)
	act := f.activation("hidden_act", "silu")
	bias, outBias, mlpBias := f.bool("attention_bias", true), f.bool("attention_out_bias", false), f.bool("mlp_bias", false)
	h.dropout = f.probability("attention_dropout", 0.1)
	residualDropout := f.probability("residual_dropout", 0.1)
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, outBias)
			attention.Positions = rope
			mlp := gated(at+"mlp.", act, c.Hidden, size, mlpBias)
			t.Layers = append(t.Layers, dropped(residualDropout, preNorm(at, c.Hidden, eps, attention, mlp)))
		}
		return t
	}
	return c
}
