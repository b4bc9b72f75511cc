package family

import (
	"qlora/internal/halffloat"
	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"falcon", "RefinedWeb", "RefinedWebModel"}, Targets: []string{"query_key_value"}, read: falcon})
}

// falcon reads Falcon (Almazrouei et al. 2023), in three forms. 7B has one key head
// (Shazeer 2019) and both branches read one norm:
//
//	out = in + attention(x) + mlp(x), x = LayerNorm(in)
//
// 40B and 180B (new_decoder_architecture) have grouped-query attention and a norm for
// each branch; 11B has their heads and 7B's norm. RW (neither parallel_attn nor
// multi_query) is sequential, with ALiBi. Older files call 40B RefinedWeb, and 7B and
// RW RefinedWebModel.
func falcon(f *file) *nn.Config {
	if f.modelType != "falcon" {
		f.rename("num_hidden_layers", "n_layer")
		f.rename("num_attention_heads", "n_head")
		f.rename("num_kv_heads", "n_head_kv")
	}
	f.override("hidden_size", "n_embed")
	f.unset("apply_residual_connection_post_layernorm")
	c := f.config(defaults{hidden: 4544, layers: 32, vocabulary: 65024, positions: 2048, tied: true, bos: 11, eos: []int32{11}, pad: -1})
	c.Pad, c.Prefixes = noPadding, bare("transformer.")
	form := f.falconForm()
	h := f.falconHeads(c, form)
	size := f.size("ffn_hidden_size", 4*c.Hidden, 1<<19)
	eps := f.eps("layer_norm_epsilon", 1e-5)
	act := f.activation("activation", "gelu")
	bias := f.bool("bias", false)
	dropout, attentionDropout := f.probability("hidden_dropout", 0), f.probability("attention_dropout", 0)
	var positions rope
	if !form.alibi {
		positions = f.rope(c, h.dim, ropeDefaults{})
	}

	c.Compose = func() *nn.Transformer {
		t := bloomNames(layerNorm("transformer.ln_f", c.Hidden, eps))
		turn, keyBias := positions.table(), falconBias(h)
		for i := range c.Layers {
			at := at("transformer.h", i)
			attention := h.fused(form.layout,
				nn.Dense(at+"self_attention.query_key_value", h.fusedRows(), c.Hidden, bias),
				nn.Dense(at+"self_attention.dense", c.Hidden, c.Hidden, bias))
			mlp := plain(act,
				nn.Dense(at+"mlp.dense_h_to_4h", size, c.Hidden, bias),
				nn.Dense(at+"mlp.dense_4h_to_h", c.Hidden, size, bias))
			// transformers applies attention_dropout only with ALiBi.
			if form.alibi {
				attention.KeyBias, attention.Dropout = keyBias, attentionDropout
			} else {
				attention.Positions = turn
			}
			norm := func(name string) *nn.Norm { return layerNorm(at+name, c.Hidden, eps) }
			var l *nn.Layer
			switch {
			case !form.parallel:
				l = nn.Sequential(
					&nn.Branch{Norm: norm("input_layernorm"), Part: attention, Dropout: attentionDropout},
					&nn.Branch{Norm: norm("post_attention_layernorm"), Part: mlp, Dropout: dropout})
			case form.norms == 2:
				l = nn.Parallel(
					&nn.Branch{Norm: norm("ln_attn"), Part: attention, Dropout: dropout},
					&nn.Branch{Norm: norm("ln_mlp"), Part: mlp, Dropout: dropout})
			default:
				shared := norm("input_layernorm")
				l = nn.Parallel(
					&nn.Branch{Norm: shared, Part: attention, Dropout: dropout},
					&nn.Branch{Norm: shared, Part: mlp, Dropout: dropout})
			}
			l.SumDrops = form.parallel
			t.Layers = append(t.Layers, l)
		}
		return t
	}
	return c
}

// A falconForm selects one of Falcon's forms.
type falconForm struct {
	groups     bool // new_decoder_architecture: grouped-query attention
	multiQuery bool // one key head
	parallel   bool
	alibi      bool
	norms      int // before parallel branches
	layout     nn.Layout
}

// falconForm reads the form. With an older model_type, absent keys default to that
// model's values.
func (f *file) falconForm() falconForm {
	form := falconForm{
		groups:     f.bool("new_decoder_architecture", f.modelType == "RefinedWeb"),
		multiQuery: f.bool("multi_query", f.modelType != "RefinedWebModel"),
		parallel:   f.bool("parallel_attn", f.modelType != "RefinedWebModel"),
		alibi:      f.bool("alibi", false),
		layout:     nn.PerGroup,
	}
	form.norms = f.int("num_ln_in_parallel_attn", map[bool]int{true: 2, false: 1}[form.groups])
	switch {
	case form.groups && !form.parallel:
		f.refuse("parallel_attn", "new_decoder_architecture is always parallel; leave it out")
	case form.groups && form.norms != 1 && form.norms != 2:
		f.refuse("num_ln_in_parallel_attn", "use 1 or 2")
	case !form.groups && form.parallel && form.norms == 2:
		f.refuse("num_ln_in_parallel_attn", "without new_decoder_architecture it must be 1")
	}
	if form.multiQuery = form.multiQuery && !form.groups; form.multiQuery {
		form.layout = nn.Blocks
	}
	return form
}

func (f *file) falconHeads(c *nn.Config, form falconForm) heads {
	h := f.wholeHeads(c, 71)
	switch kv := f.size("num_kv_heads", h.count, 1<<12); {
	case form.multiQuery:
		h.kv = 1
	case form.groups && h.count%kv == 0:
		h.kv = kv
	case form.groups:
		f.fail("%s %d is not a multiple of %s %d", f.name("num_attention_heads"), h.count, f.name("num_kv_heads"), kv)
	case kv != h.count:
		f.refuse("num_kv_heads", "without new_decoder_architecture and multi_query it must be num_attention_heads")
	}
	return h
}

// falconBias returns Falcon's ALiBi, in bfloat16 and scaled with the scores:
//
//	softmax((q·k + bf16(bf16(slope)·bf16(place)))/sqrt(d))
func falconBias(h heads) *nn.KeyBias {
	s, scale := slopes(h.count), h.scale()
	return &nn.KeyBias{Heads: h.count, At: func(head, place int) float32 {
		return bfloat16(bfloat16(s[head])*bfloat16(float32(place))) * scale
	}}
}

// bfloat16 returns x rounded to bfloat16.
func bfloat16(x float32) float32 { return halffloat.FromBF16(halffloat.BF16(x)) }
