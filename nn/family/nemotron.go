package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"nemotron"}, read: nemotron})
}

// nemotron reads Nemotron 3 and 4 and Minitron (Parmar et al. 2024): LayerNorms with
// weight 1 + w, a feed-forward network without gate, and partial RoPE:
//
//	mid = in  + o(attention(q, k, v of LayerNorm(in)))
//	out = mid + down(relu(up(LayerNorm(mid)))²)
func nemotron(f *file) *nn.Config {
	c := f.config(defaults{hidden: 6144, layers: 32, vocabulary: 256000, positions: 4096, bos: 2, eos: []int32{3}, pad: -1})
	h := f.heads(c, 48, 0, 0)
	size := f.size("intermediate_size", 24576, 1<<19)
	eps := f.eps("norm_eps", 1e-5)
	act := f.activation("hidden_act", "relu2")
	attentionBias, mlpBias := f.bool("attention_bias", false), f.bool("mlp_bias", false)
	positions := f.rope(c, h.dim, ropeDefaults{partial: 0.5})
	norm := func(name string) *nn.Norm {
		n := layerNorm(name, c.Hidden, eps)
		n.Offset = 1
		return n
	}

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(norm("model.norm"))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, attentionBias, attentionBias)
			attention.Positions = rope
			mlp := plain(act, nn.Dense(at+"mlp.up_proj", size, c.Hidden, mlpBias), nn.Dense(at+"mlp.down_proj", c.Hidden, size, mlpBias))
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: norm(at + "input_layernorm"), Part: attention},
				&nn.Branch{Norm: norm(at + "post_attention_layernorm"), Part: mlp},
			))
		}
		return t
	}
	return c
}
