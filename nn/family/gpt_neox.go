package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"gpt_neox"}, Targets: []string{"query_key_value"}, read: gptNeoX})
}

// gptNeoX reads GPT-NeoX (Black et al. 2022) and Pythia (Biderman et al. 2023): partial
// RoPE, and parallel branches with a norm each:
//
//	out = in + attention(LayerNorm(in)) + mlp(LayerNorm'(in))
//
// or sequential ones if use_parallel_residual is false.
func gptNeoX(f *file) *nn.Config {
	delete(f.keys, "rope_theta") // transformers reads these by GPT-NeoX's names only
	delete(f.keys, "partial_rotary_factor")
	f.override("rope_theta", "rotary_emb_base")
	f.override("partial_rotary_factor", "rotary_pct")
	c := f.config(defaults{hidden: 6144, layers: 44, vocabulary: 50432, positions: 2048, bos: 0, eos: []int32{2}, pad: -1})
	c.Pad, c.Prefixes = noPadding, append(bare("gpt_neox."), nn.Prefix{Model: "lm_head.", Stored: "embed_out."})
	h := f.wholeHeads(c, 64)
	size := f.size("intermediate_size", 24576, 1<<19)
	eps := f.eps("layer_norm_eps", 1e-5)
	act := f.activation("hidden_act", "gelu")
	bias := f.bool("attention_bias", true)
	dropout, attentionDropout := f.probability("hidden_dropout", 0), f.probability("attention_dropout", 0)
	parallel := f.bool("use_parallel_residual", true)
	positions := f.rope(c, h.dim, ropeDefaults{partial: 0.25})

	c.Compose = func() *nn.Transformer {
		t := &nn.Transformer{
			Embedding: nn.Embedding{Name: "gpt_neox.embed_in", Dropout: dropout},
			Head:      nn.Head{Name: "lm_head", Norm: layerNorm("gpt_neox.final_layer_norm", c.Hidden, eps)},
		}
		rope := positions.table()
		for i := range c.Layers {
			at := at("gpt_neox.layers", i)
			attention := h.fused(nn.PerGroup,
				nn.Dense(at+"attention.query_key_value", 3*c.Hidden, c.Hidden, bias),
				nn.Dense(at+"attention.dense", c.Hidden, c.Hidden, bias))
			attention.Positions, attention.Dropout = rope, attentionDropout
			mlp := plain(act,
				nn.Dense(at+"mlp.dense_h_to_4h", size, c.Hidden, true),
				nn.Dense(at+"mlp.dense_4h_to_h", c.Hidden, size, true))
			t.Layers = append(t.Layers, &nn.Layer{Parallel: parallel, Branches: []*nn.Branch{
				{Norm: layerNorm(at+"input_layernorm", c.Hidden, eps), Part: attention, Dropout: dropout},
				{Norm: layerNorm(at+"post_attention_layernorm", c.Hidden, eps), Part: mlp, Dropout: dropout},
			}})
		}
		return t
	}
	return c
}
