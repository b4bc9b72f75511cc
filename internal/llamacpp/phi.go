package llamacpp

func init() {
	register(
		Architecture{
			Name: "phi2", Type: "phi", Class: "PhiForCausalLM", Types: []string{"phi"},
			keys:  plainKeys(normEps("layer_norm_eps", 1e-5)),
			fixed: []fixed{activation("hidden_act", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"), {key: "qk_layernorm", values: []any{false}}},
			rope:  ropeKind{partial: 0.5},
			rows: []row{
				{gguf: "token_embd", hf: "model.embed_tokens"},
				{gguf: "output_norm", hf: "model.final_layernorm"},
				{gguf: "output", hf: "lm_head"},
				{gguf: "blk.N.attn_norm", hf: "model.layers.N.input_layernorm"},
				{gguf: "blk.N.attn_q", hf: "model.layers.N.self_attn.q_proj"},
				{gguf: "blk.N.attn_k", hf: "model.layers.N.self_attn.k_proj"},
				{gguf: "blk.N.attn_v", hf: "model.layers.N.self_attn.v_proj"},
				{gguf: "blk.N.attn_output", hf: "model.layers.N.self_attn.dense"},
				{gguf: "blk.N.ffn_up", hf: "model.layers.N.mlp.fc1"},
				{gguf: "blk.N.ffn_down", hf: "model.layers.N.mlp.fc2"},
			},
		},
		Architecture{
			Name: "phi3", Type: "phi3", Class: "Phi3ForCausalLM", Types: []string{"phi3"},
			keys: plainKeys(rmsEps(1e-5)), fixed: []fixed{silu}, rope: ropeKind{partial: 1},
			rows: with(llamaRows(false), row{gguf: "blk.N.attn_q"}, row{gguf: "blk.N.attn_k"}, row{gguf: "blk.N.attn_v"}, row{gguf: "blk.N.ffn_gate"},
				row{gguf: "blk.N.attn_qkv", hf: "model.layers.N.self_attn.qkv_proj"}, row{gguf: "blk.N.ffn_up", hf: "model.layers.N.mlp.gate_up_proj"}),
			read: readPhi3, write: writePhi3,
		},
	)
}

// readPhi3 reads the window; 0 is none.
func readPhi3(r *reading) {
	if n := r.int("attention.sliding_window", 0); n > 0 {
		r.set("sliding_window", n)
	} else {
		r.set("sliding_window", nil)
	}
	if n := r.int("rope.scaling.original_context_length", 0); n > 0 {
		r.set("original_max_position_embeddings", n)
	}
}

func writePhi3(w *writing) {
	_, _, s := w.ropeSettings("")
	w.setCount("rope.scaling.original_context_length", s.int("original_max_position_embeddings", w.config.int("original_max_position_embeddings", 4096)))
	w.setCount("attention.sliding_window", w.config.int("sliding_window", 0))
	w.windowless()
}
