package family

import (
	"qlora/bindings"
	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"gpt2"}, Targets: []string{"c_attn"}, read: gpt2})
}

// gpt2 reads GPT-2 (Radford et al. 2019), and GPT-3's shapes (Brown et al. 2020):
// learned positions, LayerNorms, biases everywhere:
//
//	x   = embedding(id) + position
//	mid = in  + c_proj(attention(q, k, v of LayerNorm(in)))
//	out = mid + c_proj(gelu(c_fc(LayerNorm(mid))))
//
// Its projections are Conv1D: the checkpoint stores them as [in, out].
// reorder_and_upcast_attn only changes the order of operations and is ignored.
func gpt2(f *file) *nn.Config {
	f.gptNames()
	c := f.config(defaults{hidden: 768, layers: 12, vocabulary: 50257, positions: 1024, tied: true, bos: 50256, eos: []int32{50256}, pad: -1})
	c.Pad, c.Prefixes = noPadding, bare("transformer.")
	g := f.gpt(c, 12, "gelu_new", 0.1)
	f.unset("add_cross_attention")
	scale := f.attentionScale(g.heads)
	byLayer := f.bool("scale_attn_by_inverse_layer_idx", false)

	c.Compose = func() *nn.Transformer {
		t := g.transformer(c)
		t.Embedding.Positions = &nn.Positions{Name: "transformer.wpe", Rows: c.MaxPositions}
		for i := range c.Layers {
			at := at("transformer.h", i)
			attention := g.fused(nn.Blocks, nn.Conv1D(at+"attn.c_attn", 3*c.Hidden, c.Hidden), nn.Conv1D(at+"attn.c_proj", c.Hidden, c.Hidden))
			attention.Scale = scale
			if byLayer {
				attention.Scale /= float32(i + 1)
			}
			mlp := plain(g.act, nn.Conv1D(at+"mlp.c_fc", g.size, c.Hidden), nn.Conv1D(at+"mlp.c_proj", c.Hidden, g.size))
			t.Layers = append(t.Layers, g.sequential(at, c.Hidden, attention, mlp))
		}
		return t
	}
	return c
}

// A gpt holds the settings shared by GPT-2, GPT-J and GPT-BigCode.
type gpt struct {
	heads
	size int // intermediate features
	act  bindings.Activation
	eps  float32

	embeddingDropout, residualDropout, attentionDropout float32
}

// gptNames renames GPT-2's keys.
func (f *file) gptNames() {
	f.rename("hidden_size", "n_embd")
	f.rename("num_hidden_layers", "n_layer")
	f.rename("num_attention_heads", "n_head")
	f.rename("max_position_embeddings", "n_positions")
}

// gpt reads the shared settings; the arguments are the class's defaults.
func (f *file) gpt(c *nn.Config, heads int, act string, dropout float64) gpt {
	return gpt{
		heads:            f.wholeHeads(c, heads),
		size:             f.size("n_inner", 4*c.Hidden, 1<<19),
		act:              f.activation("activation_function", act),
		eps:              f.eps("layer_norm_epsilon", 1e-5),
		embeddingDropout: f.probability("embd_pdrop", dropout),
		residualDropout:  f.probability("resid_pdrop", dropout),
		attentionDropout: f.probability("attn_pdrop", dropout),
	}
}

// attentionScale returns the factor on the scores.
func (f *file) attentionScale(h heads) float32 {
	if f.bool("scale_attn_weights", true) {
		return h.scale()
	}
	return 1
}

// transformer returns a transformer with GPT-2's names, without positions and layers.
func (g gpt) transformer(c *nn.Config) *nn.Transformer {
	return &nn.Transformer{
		Embedding: nn.Embedding{Name: "transformer.wte", Dropout: g.embeddingDropout},
		Head:      nn.Head{Name: "lm_head", Norm: layerNorm("transformer.ln_f", c.Hidden, g.eps)},
	}
}

// sequential returns GPT-2's layer.
func (g gpt) sequential(at string, hidden int, attention *nn.Attention, mlp *nn.MLP) *nn.Layer {
	attention.Dropout = g.attentionDropout
	return nn.Sequential(
		&nn.Branch{Norm: layerNorm(at+"ln_1", hidden, g.eps), Part: attention, Dropout: g.residualDropout},
		&nn.Branch{Norm: layerNorm(at+"ln_2", hidden, g.eps), Part: mlp, Dropout: g.residualDropout},
	)
}
