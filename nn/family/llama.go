package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"llama"}, Targets: []string{"q_proj", "v_proj"}, read: llama})
}

// llama reads Llama 1 to 3 (Touvron et al. 2023) and other models of its architecture:
//
//	mid = in  + o(attention(q, k, v of RMSNorm(in)))
//	out = mid + down(silu(gate(x))·up(x)), x = RMSNorm(mid)
func llama(f *file) *nn.Config {
	c := f.config(defaults{hidden: 4096, layers: 32, vocabulary: 32000, positions: 2048, bos: 1, eos: []int32{2}, pad: -1})
	h := f.heads(c, 32, 0, 0)
	size := f.size("intermediate_size", 11008, 1<<19)
	eps := f.eps("rms_norm_eps", 1e-6)
	act := f.activation("hidden_act", "silu")
	attentionBias, mlpBias := f.bool("attention_bias", false), f.bool("mlp_bias", false)
	positions := f.rope(c, h.dim, ropeDefaults{})

	c.Compose = func() *nn.Transformer {
		rope := positions.table()
		t := decoder(rms("model.norm", c.Hidden, eps))
		for i := range c.Layers {
			at := at("model.layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, attentionBias, attentionBias)
			attention.Positions = rope
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: rms(at+"input_layernorm", c.Hidden, eps), Part: attention},
				&nn.Branch{Norm: rms(at+"post_attention_layernorm", c.Hidden, eps), Part: gated(at+"mlp.", act, c.Hidden, size, mlpBias)},
			))
		}
		return t
	}
	return c
}

// decoder returns a transformer without layers, with Llama's names.
func decoder(norm *nn.Norm) *nn.Transformer { return decoderIn("model", norm) }

// decoderIn returns decoder's model with root as the name of its module.
func decoderIn(root string, norm *nn.Norm) *nn.Transformer {
	return &nn.Transformer{
		Embedding: nn.Embedding{Name: root + ".embed_tokens"},
		Head:      nn.Head{Name: "lm_head", Norm: norm},
	}
}
