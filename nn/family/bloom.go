package family

import (
	"qlora/bindings"
	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"bloom"}, Targets: []string{"query_key_value"}, read: bloom})
}

// bloom reads BLOOM (Le Scao et al. 2022): LayerNorms, also after the embedding, biases
// everywhere, and ALiBi (Press et al. 2022) instead of positions:
//
//	mid = in  + dense(softmax(q·k/sqrt(d) + slope·position)·v), q, k, v of LayerNorm(in)
//	out = mid + down(gelu(up(LayerNorm(mid))))
//
// With apply_residual_connection_post_layernorm the residuals are the norms' outputs.
// slow_but_exact only changes the order of summation and is ignored.
func bloom(f *file) *nn.Config {
	f.rename("num_hidden_layers", "n_layer")
	f.rename("num_attention_heads", "n_head")
	f.rename("max_position_embeddings", "seq_length")
	f.override("hidden_size", "n_embed")
	c := f.config(defaults{hidden: 64, layers: 2, vocabulary: 250880, positions: 2048, tied: true, bos: 1, eos: []int32{2}, pad: -1})
	c.Pad, c.Prefixes = noPadding, bare("transformer.")
	h := f.wholeHeads(c, 8)
	eps := f.eps("layer_norm_epsilon", 1e-5)
	dropout, attentionDropout := f.probability("hidden_dropout", 0), f.probability("attention_dropout", 0)
	residual := nn.PreNorm
	if f.bool("apply_residual_connection_post_layernorm", false) {
		residual = nn.NormedBase
	}

	c.Compose = func() *nn.Transformer {
		t := bloomNames(layerNorm("transformer.ln_f", c.Hidden, eps))
		t.Embedding.Norm = layerNorm("transformer.word_embeddings_layernorm", c.Hidden, eps)
		keyBias := alibi(h.count)
		for i := range c.Layers {
			at := at("transformer.h", i)
			attention := h.fused(nn.PerGroup,
				nn.Dense(at+"self_attention.query_key_value", 3*c.Hidden, c.Hidden, true),
				nn.Dense(at+"self_attention.dense", c.Hidden, c.Hidden, true))
			attention.KeyBias, attention.Dropout = keyBias, attentionDropout
			mlp := plain(bindings.GELUTanh,
				nn.Dense(at+"mlp.dense_h_to_4h", 4*c.Hidden, c.Hidden, true),
				nn.Dense(at+"mlp.dense_4h_to_h", c.Hidden, 4*c.Hidden, true))
			t.Layers = append(t.Layers, nn.Sequential(
				&nn.Branch{Norm: layerNorm(at+"input_layernorm", c.Hidden, eps), Part: attention, Dropout: dropout, Residual: residual},
				&nn.Branch{Norm: layerNorm(at+"post_attention_layernorm", c.Hidden, eps), Part: mlp, Dropout: dropout, Residual: residual},
			))
		}
		return t
	}
	return c
}

// bloomNames returns a transformer without layers, with BLOOM's names, which Falcon
// also uses.
func bloomNames(norm *nn.Norm) *nn.Transformer {
	return &nn.Transformer{
		Embedding: nn.Embedding{Name: "transformer.word_embeddings"},
		Head:      nn.Head{Name: "lm_head", Norm: norm},
	}
}
