package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"phi"}, Targets: []string{"q_proj", "v_proj", "fc1", "fc2"}, read: phi})
}

// phi reads Phi 1, 1.5 and 2 (Li et al. 2023): parallel attention and feed-forward
// network after one norm, biases everywhere, also in the output head, and partial RoPE:
//
//	out = in + dense(attention(q, k, v of x)) + fc2(gelu(fc1(x))), x = LayerNorm(in)
func phi(f *file) *nn.Config {
	c := f.config(defaults{hidden: 2048, layers: 24, vocabulary: 51200, positions: 2048, bos: 1, eos: []int32{2}, pad: -1})
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 8192, 1<<19)
	eps := f.eps("layer_norm_eps", 1e-5)
	act := f.activation("hidden_act", "gelu_new")
	headNorms := f.bool("qk_layernorm", false)
	embeddingDropout, residualDropout := f.probability("embd_pdrop", 0), f.probability("resid_pdrop", 0)
	positions := f.rope(c, h.dim, ropeDefaults{partial: 0.5})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(layerNorm("model.final_layernorm", c.Hidden, eps))
		t.Embedding.Dropout, t.Head.Bias = embeddingDropout, true
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, true, true)
			attention.O = nn.Dense(at+"self_attn.dense", c.Hidden, h.count*h.dim, true)
			attention.Positions = rope
			if headNorms {
				attention.QNorm = &nn.HeadNorm{Norm: *layerNorm(at+"self_attn.q_layernorm", h.dim, eps)}
				attention.KNorm = &nn.HeadNorm{Norm: *layerNorm(at+"self_attn.k_layernorm", h.dim, eps)}
			}
			mlp := plain(act, nn.Dense(at+"mlp.fc1", size, c.Hidden, true), nn.Dense(at+"mlp.fc2", c.Hidden, size, true))
			norm := layerNorm(at+"input_layernorm", c.Hidden, eps)
			t.Layers = append(t.Layers, dropped(residualDropout, nn.Parallel(
				&nn.Branch{Norm: norm, Part: attention},
				&nn.Branch{Norm: norm, Part: mlp},
			)))
		}
		return t
	}
	return c
}
