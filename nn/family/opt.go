package family

import "qlora/nn"

func init() {
	register(Family{Types: []string{"opt"}, Targets: []string{"q_proj", "v_proj"}, read: opt})
}

// optOffset is the row of position 0 in OPT's position table.
const optOffset = 2

// opt reads OPT (Zhang et al. 2022), with learned positions:
//
//	mid = in  + out_proj(attention(q, k, v of LayerNorm(in)))
//	out = mid + fc2(relu(fc1(LayerNorm(mid))))
//
// OPT-350M normalizes after the sums instead and has no final norm. Its embeddings are
// smaller than the hidden size; project_in and project_out convert between them.
func opt(f *file) *nn.Config {
	f.rename("intermediate_size", "ffn_dim")
	c := f.config(defaults{hidden: 768, layers: 12, vocabulary: 50272, positions: 2048, tied: true, bos: 2, eos: []int32{2}, pad: 1})
	c.Prefixes = bare("model.")
	h := f.wholeHeads(c, 12)
	size := f.size("intermediate_size", 3072, 1<<19)
	act := f.activation("activation_function", "relu")
	embedded := f.size("word_embed_proj_dim", c.Hidden, 1<<17)
	normFirst, noLastNorm := f.bool("do_layer_norm_before", true), f.bool("_remove_final_layer_norm", false)
	bias, affine := f.bool("enable_bias", true), f.bool("layer_norm_elementwise_affine", true)
	dropout := f.probability("dropout", 0.1)
	h.dropout = f.probability("attention_dropout", 0)
	f.unset("layerdrop")
	norm := func(name string) *nn.Norm {
		n := layerNorm(name, c.Hidden, 1e-5)
		n.Plain = !affine
		return n
	}
	residual := nn.PreNorm
	if !normFirst {
		residual = nn.SumNorm
	}

	c.Compose = func() *nn.Transformer {
		const decoder = "model.decoder."
		t := &nn.Transformer{
			Embedding: nn.Embedding{
				Name: decoder + "embed_tokens", Size: embedded,
				Positions: &nn.Positions{Name: decoder + "embed_positions", Rows: c.MaxPositions + optOffset, Offset: optOffset},
			},
			Head: nn.Head{Name: "lm_head"},
		}
		if normFirst && !noLastNorm {
			t.Head.Norm = norm(decoder + "final_layer_norm")
		}
		if embedded != c.Hidden {
			t.Embedding.Project = nn.Dense(decoder+"project_in", c.Hidden, embedded, false)
			t.Head.Project = nn.Dense(decoder+"project_out", embedded, c.Hidden, false)
		}
		for i := range c.Layers {
			at := at(decoder+"layers", i)
			attention := h.attention(at+"self_attn.", c.Hidden, bias, bias)
			attention.O = nn.Dense(at+"self_attn.out_proj", c.Hidden, c.Hidden, bias)
			mlp := plain(act, nn.Dense(at+"fc1", size, c.Hidden, bias), nn.Dense(at+"fc2", c.Hidden, size, bias))
			t.Layers = append(t.Layers, dropped(dropout, nn.Sequential(
				&nn.Branch{Norm: norm(at + "self_attn_layer_norm"), Part: attention, Residual: residual},
				&nn.Branch{Norm: norm(at + "final_layer_norm"), Part: mlp, Residual: residual},
			)))
		}
		return t
	}
	return c
}
