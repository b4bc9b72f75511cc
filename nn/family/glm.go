package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"glm"}, read: func(f *file) *nn.Config { return glm(f, false) }})
	register(Family{Types: []string{"glm4"}, read: func(f *file) *nn.Config { return glm(f, true) }})
}

// glm reads GLM-4 (GLM Team 2024): Llama with biases on q, k and v, a fused gate and up
// projection, and interleaved RoPE on the first half of each head. GLM-4-0414 has norms
// after the branches, too:
//
//	mid = in  + RMSNorm(o(attention(q, k, v of RMSNorm(in))))
//	out = mid + RMSNorm(down(silu(gate(x))·up(x))), x = RMSNorm(mid)
func glm(f *file, postNorms bool) *nn.Config {
	c := f.config(defaults{
		hidden: 4096, layers: 40, vocabulary: 151552, positions: 131072, bos: -1, eos: []int32{151329, 151336, 151338}, pad: 151329,
	})
	dim := 128
	if raw, ok := f.keys["head_dim"]; ok && string(raw) == "null" {
		dim = 0
	}
	h := f.heads(c, 32, 2, dim)
	size := f.size("intermediate_size", 13696, 1<<19)
	eps := f.eps("rms_norm_eps", 1.5625e-7)
	act := f.activation("hidden_act", "silu")
	bias := f.bool("attention_bias", true)
	positions := f.rope(c, h.dim, ropeDefaults{partial: 0.5})
	positions.interleaved = true

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, false)
			attention.Positions = rope
			layer := nn.Sequential(
				&nn.Branch{Norm: rms(at+"input_layernorm", c.Hidden, eps), Part: attention},
				&nn.Branch{Norm: rms(at+"post_attention_layernorm", c.Hidden, eps), Part: &nn.MLP{
					Activation: act, Size: size,
					GateUp: nn.Dense(at+"mlp.gate_up_proj", 2*size, c.Hidden, false),
					Down:   nn.Dense(at+"mlp.down_proj", c.Hidden, size, false),
				}},
			)
			if postNorms {
				layer.Branches[0].PostNorm = rms(at+"post_self_attn_layernorm", c.Hidden, eps)
				layer.Branches[1].PostNorm = rms(at+"post_mlp_layernorm", c.Hidden, eps)
			}
			t.Layers = append(t.Layers, layer)
		}
		return t
	}
	return c
}
