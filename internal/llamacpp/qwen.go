package llamacpp

func init() {
	keys := plainKeys(rmsEps(1e-6), keySize, valueSize)
	qwen3 := append(llamaRows(false), headNorms("q_norm", "k_norm")...)
	full := fixed{key: "use_sliding_window", values: []any{false}}
	register(
		Architecture{
			Name: "qwen2", Type: "qwen2", Class: "Qwen2ForCausalLM", Types: []string{"qwen2"},
			keys: keys, fixed: []fixed{silu, full}, rows: llamaRows(false),
		},
		Architecture{
			Name: "qwen3", Type: "qwen3", Class: "Qwen3ForCausalLM", Types: []string{"qwen3"},
			keys: keys, fixed: []fixed{silu, full}, rows: qwen3, read: readQwen3,
		},
		// The text parts of the vision-language models: for text, their three positions are one.
		Architecture{
			Name: "qwen2vl", Type: "qwen2", Class: "Qwen2ForCausalLM", Types: []string{"qwen2_vl", "qwen2_5_vl"},
			keys: keys, fixed: []fixed{silu, full}, rows: llamaRows(false), rope: ropeKind{theta: 1e6}, write: writeSections,
		},
		Architecture{
			Name: "qwen3vl", Type: "qwen3", Class: "Qwen3ForCausalLM", Types: []string{"qwen3_vl"},
			keys: keys, fixed: []fixed{silu}, rows: qwen3, rope: ropeKind{theta: 5e5}, read: readQwen3, write: writeQwen3VL,
		},
		Architecture{
			Name: "seed_oss", Type: "seed_oss", Class: "SeedOssForCausalLM", Types: []string{"seed_oss"},
			keys: keys, fixed: []fixed{silu}, read: readSeedOSS,
			rows: with(llamaRows(false), row{gguf: "blk.N.ffn_norm"}, row{gguf: "blk.N.post_attention_norm", hf: "model.layers.N.post_attention_layernorm"}),
		},
		Architecture{
			Name: "ernie4_5", Type: "ernie4_5", Class: "Ernie4_5ForCausalLM", Types: []string{"ernie4_5"}, tied: true,
			keys: keys, fixed: []fixed{silu}, rows: llamaRows(false), rope: ropeKind{theta: 5e5}, read: readErnie,
		},
		Architecture{
			Name: "hunyuan-dense", Type: "hunyuan_v1_dense", Class: "HunYuanDenseV1ForCausalLM", Types: []string{"hunyuan_v1_dense"},
			keys: keys, fixed: []fixed{silu}, rows: append(llamaRows(false), headNorms("query_layernorm", "key_layernorm")...), read: readQwen3,
		},
		Architecture{
			Name: "starcoder2", Type: "starcoder2", Class: "Starcoder2ForCausalLM", Types: []string{"starcoder2"}, tied: true,
			keys: plainKeys(normEps("norm_epsilon", 1e-5)), fixed: []fixed{activation("hidden_act", "gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu")},
			rows: with(llamaRows(false), row{gguf: "blk.N.ffn_gate"}, row{gguf: "blk.N.ffn_up", hf: "model.layers.N.mlp.c_fc"},
				row{gguf: "blk.N.ffn_down", hf: "model.layers.N.mlp.c_proj"}),
			read: readStarCoder2, write: (*writing).windowless,
		},
	)
}

func readQwen3(r *reading) {
	r.set("attention_bias", r.has("blk.0.attn_q.bias"))
	r.set("head_dim", r.headSize())
}

func readSeedOSS(r *reading) {
	readQwen3(r)
	r.set("attention_out_bias", r.has("blk.0.attn_output.bias"))
	r.set("mlp_bias", r.has("blk.0.ffn_up.bias"))
	r.set("attention_dropout", 0.0)
	r.set("residual_dropout", 0.0)
}

func readErnie(r *reading) {
	r.set("head_dim", r.headSize())
	r.set("use_bias", r.has("blk.0.ffn_up.bias"))
}

func readStarCoder2(r *reading) {
	r.set("use_bias", r.has("blk.0.ffn_up.bias"))
	r.set("sliding_window", nil)
}

// writeSections writes how a head's features are shared between the positions of an image.
func writeSections(w *writing) {
	_, _, s := w.ropeSettings("")
	sections := s.floats("mrope_section")
	if sections == nil {
		return
	}
	list := make([]int32, 4)
	for i := range min(len(sections), 4) {
		list[i] = int32(sections[i])
	}
	w.set("rope.dimension_sections", list)
}

func writeQwen3VL(w *writing) {
	writeSections(w)
	layers, _ := w.config.object("vision_config")["deepstack_visual_indexes"].([]any)
	w.setCount("n_deepstack_layers", int64(len(layers)))
}
