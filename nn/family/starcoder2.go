package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"starcoder2"}, read: starcoder2})
}

// starcoder2 reads StarCoder 2 (Lozhkov et al. 2024): LayerNorms, biases everywhere, a
// feed-forward network without gate and, if set, a sliding window in every layer:
//
//	mid = in  + o(attention(q, k, v of LayerNorm(in)))
//	out = mid + c_proj(gelu(c_fc(LayerNorm(mid))))
func starcoder2(f *file) *nn.Config {
	c := f.config(defaults{hidden: 3072, layers: 30, vocabulary: 49152, positions: 4096, tied: true, bos: 50256, eos: []int32{50256}, pad: -1})
	h := f.heads(c, 24, 2, 0)
	size := f.size("intermediate_size", 12288, 1<<19)
	eps := f.eps("norm_epsilon", 1e-5)
	act := f.activation("hidden_act", "gelu_pytorch_tanh")
	bias, window := f.bool("use_bias", true), f.window(0)
	embeddingDropout, residualDropout := f.probability("embedding_dropout", 0), f.probability("residual_dropout", 0)
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(layerNorm("model.norm", c.Hidden, eps))
		t.Embedding.Dropout = embeddingDropout
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			attention.Positions, attention.Window = rope, window
			mlp := plain(act, nn.Dense(at+"mlp.c_fc", size, c.Hidden, bias), nn.Dense(at+"mlp.c_proj", c.Hidden, size, bias))
			t.Layers = append(t.Layers, dropped(residualDropout, nn.Sequential(
				&nn.Branch{Norm: layerNorm(at+"input_layernorm", c.Hidden, eps), Part: attention},
				&nn.Branch{Norm: layerNorm(at+"post_attention_layernorm", c.Hidden, eps), Part: mlp},
			)))
		}
		return t
	}
	return c
}
