package llamacpp

// bloomRows are BLOOM's and Falcon's tensors.
func bloomRows(o order, more ...row) []row {
	return append([]row{
		{gguf: "token_embd", hf: "transformer.word_embeddings"},
		{gguf: "output_norm", hf: "transformer.ln_f"},
		{gguf: "output", hf: "lm_head"},
		{gguf: "blk.N.attn_qkv", hf: "transformer.h.N.self_attention.query_key_value", order: o},
		{gguf: "blk.N.attn_output", hf: "transformer.h.N.self_attention.dense"},
		{gguf: "blk.N.ffn_up", hf: "transformer.h.N.mlp.dense_h_to_4h"},
		{gguf: "blk.N.ffn_down", hf: "transformer.h.N.mlp.dense_4h_to_h"},
	}, more...)
}

func init() {
	register(
		Architecture{
			Name: "bloom", Type: "bloom", Class: "BloomForCausalLM", Types: []string{"bloom"}, tied: true, rope: ropeKind{none: true},
			keys: []key{
				{"block_count", "n_layer", count, 2},
				{"context_length", "seq_length", count, 2048},
				{"embedding_length", "hidden_size", count, 64},
				{"attention.head_count", "n_head", count, 8},
				normEps("layer_norm_epsilon", 1e-5),
			},
			fixed: []fixed{{key: "apply_residual_connection_post_layernorm", values: []any{false}}},
			rows: bloomRows(headsToParts,
				row{gguf: "token_embd_norm", hf: "transformer.word_embeddings_layernorm"},
				row{gguf: "blk.N.attn_norm", hf: "transformer.h.N.input_layernorm"},
				row{gguf: "blk.N.ffn_norm", hf: "transformer.h.N.post_attention_layernorm"}),
			write: writeBloom,
		},
		Architecture{
			Name: "mpt", Type: "mpt", Class: "MptForCausalLM", Types: []string{"mpt"}, tied: true, rope: ropeKind{none: true},
			keys: []key{
				{"block_count", "n_layers", count, 24},
				{"context_length", "max_seq_len", count, 2048},
				{"embedding_length", "d_model", count, 2048},
				{"attention.head_count", "n_heads", count, 16},
			},
			fixed: []fixed{{key: "no_bias", values: []any{true}}},
			rows: []row{
				{gguf: "token_embd", hf: "transformer.wte"},
				{gguf: "output_norm", hf: "transformer.norm_f"},
				{gguf: "output", hf: "lm_head"},
				{gguf: "blk.N.attn_norm", hf: "transformer.blocks.N.norm_1"},
				{gguf: "blk.N.attn_qkv", hf: "transformer.blocks.N.attn.Wqkv"},
				{gguf: "blk.N.attn_output", hf: "transformer.blocks.N.attn.out_proj"},
				{gguf: "blk.N.ffn_norm", hf: "transformer.blocks.N.norm_2"},
				{gguf: "blk.N.ffn_up", hf: "transformer.blocks.N.ffn.up_proj"},
				{gguf: "blk.N.ffn_down", hf: "transformer.blocks.N.ffn.down_proj"},
			},
			read: readMPT, write: writeMPT,
		},
	)
}

func writeBloom(w *writing) {
	if w.config.has("n_embed") {
		w.setCount("embedding_length", w.config.int("n_embed", 0))
	}
	n := w.meta
	size, _ := n.Int("bloom.embedding_length")
	w.setCount("feed_forward_length", 4*size)
	w.setCount("attention.head_count_kv", int64(w.headCount()))
}

func readMPT(r *reading) {
	attention := config{"alibi": true, "clip_qkv": nil}
	if x := r.float("attention.clamp_kqv", 0); x > 0 {
		attention["clip_qkv"] = x
	}
	if bias := r.float("attention.max_alibi_bias", 0); bias != 8 {
		r.fail("mpt.attention.max_alibi_bias is %v; 8 is supported", bias)
	}
	if kv := r.int("attention.head_count_kv", r.int("attention.head_count", 0)); kv != r.int("attention.head_count", 0) {
		r.fail("mpt.attention.head_count_kv is %d; as many key heads as heads are supported", kv)
	}
	r.set("attn_config", map[string]any(attention))
	if n, w := r.rows("blk.0.ffn_up.weight"), r.int("embedding_length", 1); w > 0 && int64(n)%w == 0 {
		r.set("expansion_ratio", int64(n)/w)
	}
}

func writeMPT(w *writing) {
	a := w.config.object("attn_config")
	if a.has("softmax_scale") {
		w.fail("attn_config.softmax_scale is %v, and llama.cpp computes with the usual one", a["softmax_scale"])
	}
	if !a.bool("alibi", true) {
		w.fail("attn_config.alibi is false, which transformers does not compute")
	}
	w.setCount("feed_forward_length", w.config.int("expansion_ratio", 4)*int64(w.count(width)))
	if a.has("kv_n_heads") {
		w.setCount("attention.head_count_kv", a.int("kv_n_heads", 0))
	}
	w.setNumber("attention.layer_norm_epsilon", w.config.float("layer_norm_epsilon", 1e-5))
	if a.has("clip_qkv") {
		w.setNumber("attention.clamp_kqv", a.float("clip_qkv", 0))
	}
	w.setNumber("attention.max_alibi_bias", a.float("alibi_bias_max", 8))
}
