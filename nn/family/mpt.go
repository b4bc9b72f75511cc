package family

import (
	"encoding/json"

	"qlora/bindings"
	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"mpt"}, Targets: []string{"Wqkv"}, read: mpt})
}

// mpt reads MPT (MosaicML 2023): no biases, not even in the LayerNorms, and ALiBi instead
// of positions:
//
//	mid = in  + out_proj(softmax(softmax_scale·q·k + slope·position)·v), q, k, v of LayerNorm(in)
//	out = mid + down(gelu(up(LayerNorm(mid))))
//
// q, k and v are clamped to ±clip_qkv. attn_pdrop is also the branches' dropout.
func mpt(f *file) *nn.Config {
	for key, own := range map[string]string{
		"hidden_size": "d_model", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads", "max_position_embeddings": "max_seq_len",
	} {
		f.rename(key, own)
	}
	c := f.config(defaults{hidden: 2048, layers: 24, vocabulary: 50368, positions: 2048, tied: true, bos: -1, pad: -1})
	c.Pad, c.Prefixes = noPadding, bare("transformer.")
	h := f.wholeHeads(c, 16)
	eps := f.eps("layer_norm_epsilon", 1e-5)
	f.mptRefusals()
	a := f.mptAttention(h)

	c.Compose = func() *nn.Transformer {
		norm := func(name string) *nn.Norm { return centered(name, c.Hidden, eps) }
		t := &nn.Transformer{
			Embedding: nn.Embedding{Name: "transformer.wte"},
			Head:      nn.Head{Name: "lm_head", Norm: norm("transformer.norm_f")},
		}
		keyBias := alibi(h.count)
		for i := range c.Layers {
			at := at("transformer.blocks", i)
			attention := h.fused(nn.Blocks, nn.Dense(at+"attn.Wqkv", 3*c.Hidden, c.Hidden, false), nn.Dense(at+"attn.out_proj", c.Hidden, c.Hidden, false))
			attention.KeyBias, attention.Scale, attention.Clip, attention.Dropout = keyBias, a.scale, a.clip, a.dropout
			mlp := plain(bindings.GELU, nn.Dense(at+"ffn.up_proj", 4*c.Hidden, c.Hidden, false), nn.Dense(at+"ffn.down_proj", c.Hidden, 4*c.Hidden, false))
			t.Layers = append(t.Layers, dropped(a.dropout, nn.Sequential(
				&nn.Branch{Norm: norm(at + "norm_1"), Part: attention},
				&nn.Branch{Norm: norm(at + "norm_2"), Part: mlp},
			)))
		}
		return t
	}
	return c
}

// mptRefusals refuses features of MosaicML's code that transformers does not support.
func (f *file) mptRefusals() {
	for _, key := range []string{"emb_pdrop", "resid_pdrop", "logit_scale"} {
		f.unset(key)
	}
	if f.int("expansion_ratio", 4) != 4 {
		f.refuse("expansion_ratio", "it is 4")
	}
	if !f.bool("no_bias", true) {
		f.refuse("no_bias", "it is true")
	}
	if f.float("embedding_fraction", 1) != 1 {
		f.refuse("embedding_fraction", "it is 1")
	}
	if n := f.text("norm_type", "low_precision_layernorm"); n != "low_precision_layernorm" && n != "layernorm" {
		f.refuse("norm_type", "layernorm and low_precision_layernorm are")
	}
}

// mptAttention holds the settings of attn_config.
type mptAttention struct{ scale, clip, dropout float32 }

// mptAttention reads attn_config. Positions are ALiBi, whatever learned_pos_emb says.
func (f *file) mptAttention(h heads) mptAttention {
	f.bool("learned_pos_emb", true)
	a := &file{keys: map[string]json.RawMessage{}, asked: map[string]bool{}, modelType: f.modelType}
	f.value("attn_config", &a.keys)
	for _, key := range []string{"qk_ln", "prefix_lm", "attn_uses_sequence_id"} {
		a.unset(key)
	}
	if a.text("attn_type", "multihead_attention") != "multihead_attention" {
		a.refuse("attn_type", "multihead_attention is")
	}
	if !a.bool("alibi", true) {
		a.refuse("alibi", "it is true")
	}
	if a.int("alibi_bias_max", 8) != 8 {
		a.refuse("alibi_bias_max", "transformers computes with 8")
	}
	read := mptAttention{scale: h.scale(), clip: a.multiplier("clip_qkv", 0), dropout: a.probability("attn_pdrop", 0)}
	if a.has("softmax_scale") {
		read.scale = a.nonzero("softmax_scale", 0)
	}
	if read.clip < 0 {
		a.refuse("clip_qkv", "it must be positive")
	}
	if a.err != nil {
		f.fail("attn_config: %w", a.err)
	}
	return read
}
