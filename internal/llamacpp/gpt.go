package llamacpp

import "strings"

// isNorm reports whether a base is that of a norm.
func isNorm(base string) bool { return strings.HasSuffix(base, "_norm") }

// gptKeys have GPT-2's names in config.json.
func gptKeys(positionsKey string) []key {
	return []key{
		{"block_count", "n_layer", count, 12},
		{"context_length", positionsKey, count, 1024},
		{"embedding_length", "n_embd", count, 768},
		{"feed_forward_length", "n_inner", count, nil},
		{"attention.head_count", "n_head", count, 12},
		normEps("layer_norm_epsilon", 1e-5),
	}
}

// gptRows have GPT-2's names.
func gptRows(conv1d bool) []row {
	return []row{
		{gguf: "token_embd", hf: "transformer.wte"},
		{gguf: "position_embd", hf: "transformer.wpe"},
		{gguf: "output_norm", hf: "transformer.ln_f"},
		{gguf: "output", hf: "lm_head"},
		{gguf: "blk.N.attn_norm", hf: "transformer.h.N.ln_1"},
		{gguf: "blk.N.attn_qkv", hf: "transformer.h.N.attn.c_attn", conv1d: conv1d},
		{gguf: "blk.N.attn_output", hf: "transformer.h.N.attn.c_proj", conv1d: conv1d},
		{gguf: "blk.N.ffn_norm", hf: "transformer.h.N.ln_2"},
		{gguf: "blk.N.ffn_up", hf: "transformer.h.N.mlp.c_fc", conv1d: conv1d},
		{gguf: "blk.N.ffn_down", hf: "transformer.h.N.mlp.c_proj", conv1d: conv1d},
	}
}

func init() {
	scaled := fixed{key: "scale_attn_weights", values: []any{true}}
	register(
		Architecture{
			Name: "gpt2", Type: "gpt2", Class: "GPT2LMHeadModel", Types: []string{"gpt2"}, tied: true, keys: gptKeys("n_positions"),
			fixed: []fixed{activation("activation_function", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"), scaled, {key: "scale_attn_by_inverse_layer_idx", values: []any{false}}},
			rows:  gptRows(true), rope: ropeKind{none: true}, read: readGPT, write: writeGPT,
		},
		Architecture{
			Name: "starcoder", Type: "gpt_bigcode", Class: "GPTBigCodeForCausalLM", Types: []string{"gpt_bigcode"}, tied: true, keys: gptKeys("n_positions"),
			fixed: []fixed{activation("activation_function", "gelu_pytorch_tanh", "gelu_new", "gelu_fast"), scaled, {key: "multi_query", values: []any{true}}},
			rows:  gptRows(false), rope: ropeKind{none: true}, read: readGPT, write: writeStarCoder,
		},
		Architecture{
			Name: "gptneox", Type: "gpt_neox", Class: "GPTNeoXForCausalLM", Types: []string{"gpt_neox"},
			keys: []key{
				layers, positions, width, inner, heads, normEps("layer_norm_eps", 1e-5), {"use_parallel_residual", "use_parallel_residual", flag, true},
			},
			fixed: []fixed{activation("hidden_act", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh")}, rope: ropeKind{partial: 0.25, share: "rotary_pct", base: "rotary_emb_base"},
			rows: []row{
				{gguf: "token_embd", hf: "gpt_neox.embed_in"},
				{gguf: "output_norm", hf: "gpt_neox.final_layer_norm"},
				{gguf: "output", hf: "embed_out"},
				{gguf: "blk.N.attn_norm", hf: "gpt_neox.layers.N.input_layernorm"},
				{gguf: "blk.N.attn_qkv", hf: "gpt_neox.layers.N.attention.query_key_value", order: headsToParts},
				{gguf: "blk.N.attn_output", hf: "gpt_neox.layers.N.attention.dense"},
				{gguf: "blk.N.ffn_norm", hf: "gpt_neox.layers.N.post_attention_layernorm"},
				{gguf: "blk.N.ffn_up", hf: "gpt_neox.layers.N.mlp.dense_h_to_4h"},
				{gguf: "blk.N.ffn_down", hf: "gpt_neox.layers.N.mlp.dense_4h_to_h"},
			},
		},
	)
}

// readGPT sets n_inner by the tensor: the converter writes 4·n_embd whatever it is.
func readGPT(r *reading) { r.set("n_inner", r.rows("blk.0.ffn_up.weight")) }

func writeGPT(w *writing) {
	w.setCount("feed_forward_length", w.config.int("n_inner", 4*int64(w.count(width))))
}

func writeStarCoder(w *writing) {
	writeGPT(w)
	w.setCount("attention.head_count_kv", 1)
}
