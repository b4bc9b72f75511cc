package llamacpp

func init() {
	register(Architecture{
		Name: "falcon", Type: "falcon", Class: "FalconForCausalLM", Types: []string{"falcon", "RefinedWeb", "RefinedWebModel"}, tied: true,
		keys: []key{
			layers, positions, width,
			{"feed_forward_length", "ffn_hidden_size", count, nil},
			heads,
			{"attention.head_count_kv", "num_kv_heads", count, nil},
			normEps("layer_norm_epsilon", 1e-5),
		},
		fixed: []fixed{{key: "alibi", values: []any{false}}, {key: "parallel_attn", values: []any{true}}, activation("activation", "gelu")},
		rows: bloomRows(groupsToParts,
			row{gguf: "blk.N.attn_norm", hf: "transformer.h.N.input_layernorm", when: func(m *Model) bool { return !twoNorms(m) }},
			// With a norm for each branch, llama.cpp's attn_norm is the feed-forward network's.
			row{gguf: "blk.N.attn_norm", hf: "transformer.h.N.ln_mlp", when: twoNorms},
			row{gguf: "blk.N.attn_norm_2", hf: "transformer.h.N.ln_attn"}),
		read: readFalcon, write: writeFalcon,
	})
}

// twoNorms reports whether each branch of Falcon's layers has its norm.
func twoNorms(m *Model) bool {
	groups := m.config.bool("new_decoder_architecture", m.config.text("model_type", "") == "RefinedWeb")
	return groups && m.config.int("num_ln_in_parallel_attn", 2) == 2
}

// readFalcon recognizes the form by the key heads and by the norms.
func readFalcon(r *reading) {
	kv, n := r.int("attention.head_count_kv", 1), r.int("attention.head_count", 1)
	two := r.has("blk.0.attn_norm_2.weight")
	groups := two || kv != 1 && kv != n
	r.set("num_kv_heads", kv)
	r.set("new_decoder_architecture", groups)
	r.set("multi_query", !groups && kv == 1 && n != 1)
	r.set("num_ln_in_parallel_attn", map[bool]int{true: 2, false: 1}[two])
	r.set("bias", r.has("blk.0.attn_qkv.bias"))
	r.set("ffn_hidden_size", r.rows("blk.0.ffn_up.weight"))
}

func writeFalcon(w *writing) {
	kv := w.keyHeadCount()
	w.set("tensor_data_layout", "jploski") // of the fused projection
	w.setCount("feed_forward_length", w.config.int("ffn_hidden_size", 4*int64(w.count(width))))
	w.setCount("attention.head_count_kv", int64(kv))
}
