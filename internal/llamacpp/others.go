package llamacpp

import "slices"

func init() {
	window := key{"attention.sliding_window", "sliding_window", count, nil}
	plain := plainKeys(rmsEps(1e-5), keySize, valueSize)
	postNorms := []row{
		{gguf: "blk.N.attn_norm"},
		{gguf: "blk.N.ffn_norm"},
		{gguf: "blk.N.post_attention_norm", hf: "model.layers.N.post_attention_layernorm"},
		{gguf: "blk.N.post_ffw_norm", hf: "model.layers.N.post_feedforward_layernorm"},
	}
	fusedGate := []row{{gguf: "blk.N.ffn_gate"}, {gguf: "blk.N.ffn_up", hf: "model.layers.N.mlp.gate_up_proj"}}
	register(
		Architecture{
			Name: "command-r", Type: "cohere", Class: "CohereForCausalLM", Types: []string{"cohere"}, tied: true,
			keys: plainKeys(normEps("layer_norm_eps", 1e-5), key{"logit_scale", "logit_scale", number, 0.0625}), fixed: []fixed{silu},
			rope: ropeKind{theta: 5e5}, rows: append(with(llamaRows(false), row{gguf: "blk.N.ffn_norm"}), headNorms("q_norm", "k_norm")...),
			read: readCohere, write: func(w *writing) { w.set("rope.scaling.type", "none") },
		},
		Architecture{
			Name: "cohere2", Type: "cohere2", Class: "Cohere2ForCausalLM", Types: []string{"cohere2"}, tied: true,
			keys:  plainKeys(normEps("layer_norm_eps", 1e-5), key{"logit_scale", "logit_scale", number, 0.0625}, keySize, valueSize, window, vocabSize),
			fixed: []fixed{silu, {key: "use_qk_norm", values: []any{false}}}, rows: with(llamaRows(false), row{gguf: "blk.N.ffn_norm"}),
			read: func(r *reading) { r.set("head_dim", r.headSize()); r.layerTypes(4) },
			write: func(w *writing) {
				w.set("rope.scaling.type", "none")
				w.layerTypes(4, 4)
			},
		},
		Architecture{
			Name: "chatglm", Type: "glm", Class: "GlmForCausalLM", Types: []string{"glm"},
			keys: plainKeys(rmsEps(1.5625e-7)), fixed: []fixed{silu}, rope: ropeKind{partial: 0.5}, rows: with(llamaRows(false), fusedGate...), read: readQwen3,
		},
		Architecture{
			Name: "glm4", Type: "glm4", Class: "Glm4ForCausalLM", Types: []string{"glm4"},
			keys: plainKeys(rmsEps(1.5625e-7), keySize, valueSize), fixed: []fixed{silu}, rope: ropeKind{partial: 0.5}, read: readQwen3,
			rows: with(with(llamaRows(false), fusedGate...),
				row{gguf: "blk.N.post_attention_norm", hf: "model.layers.N.post_self_attn_layernorm"},
				row{gguf: "blk.N.post_ffw_norm", hf: "model.layers.N.post_mlp_layernorm"}),
		},
		Architecture{
			Name: "olmo", Type: "olmo", Class: "OlmoForCausalLM", Types: []string{"olmo"},
			keys: plainKeys(key{"attention.clamp_kqv", "clip_qkv", number, nil}), fixed: []fixed{silu}, rows: llamaRows(true),
			read: readLlama, write: func(w *writing) { w.setNumber("attention.layer_norm_epsilon", 1e-5) },
		},
		Architecture{
			Name: "olmo2", Type: "olmo2", Class: "Olmo2ForCausalLM", Types: []string{"olmo2", "olmo3"},
			keys: append(slices.Clip(plain), window), fixed: []fixed{silu}, read: readOLMo2, write: writeOLMo2,
			rows: append(with(llamaRows(false), postNorms...), headNorms("q_norm", "k_norm")...),
		},
		Architecture{
			Name: "exaone4", Type: "exaone4", Class: "Exaone4ForCausalLM", Types: []string{"exaone4"},
			keys: append(slices.Clip(plain), window, vocabSize), fixed: []fixed{silu}, read: readEXAONE4, write: writeEXAONE4,
			rows: append(with(llamaRows(false), postNorms...), headNorms("q_norm", "k_norm")...),
		},
		Architecture{
			Name: "stablelm", Type: "stablelm", Class: "StableLmForCausalLM", Types: []string{"stablelm"},
			keys: plainKeys(normEps("layer_norm_eps", 1e-5), key{"use_parallel_residual", "use_parallel_residual", flag, false}), fixed: []fixed{silu},
			rope: ropeKind{partial: 0.25}, read: readStableLM,
			rows: append(llamaRows(false),
				row{gguf: "blk.N.attn_q_norm", hf: "model.layers.N.self_attn.q_layernorm.norms", stack: byHead},
				row{gguf: "blk.N.attn_k_norm", hf: "model.layers.N.self_attn.k_layernorm.norms", stack: byKeyHead}),
		},
		Architecture{
			Name: "nemotron", Type: "nemotron", Class: "NemotronForCausalLM", Types: []string{"nemotron"},
			keys: plainKeys(normEps("norm_eps", 1e-5), keySize, valueSize, vocabSize), fixed: []fixed{activation("hidden_act", "relu2")},
			rope: ropeKind{partial: 0.5}, rows: onePlus(with(llamaRows(false), row{gguf: "blk.N.ffn_gate"})), read: readLlama, write: writeNemotron,
		},
	)
}

func readCohere(r *reading) {
	r.set("attention_bias", r.has("blk.0.attn_q.bias"))
	r.set("use_qk_norm", r.has("blk.0.attn_q_norm.weight"))
}

// readOLMo2 reads OLMo 2 or, with a window, 3, whose scaling of RoPE is that of full layers.
func readOLMo2(r *reading) {
	readQwen3(r)
	if r.int("attention.sliding_window", 0) == 0 {
		delete(r.config, "sliding_window")
		return
	}
	r.set("model_type", "olmo3")
	r.set("architectures", []string{"Olmo3ForCausalLM"})
	r.layerTypes(4)
	theta := r.float("rope.freq_base", defaultTheta)
	full, _ := r.config["rope_scaling"].(map[string]any)
	if full == nil {
		full = map[string]any{"rope_type": "default"}
	}
	full["rope_theta"] = theta
	delete(r.config, "rope_scaling")
	delete(r.config, "rope_theta")
	r.set("rope_parameters", map[string]any{
		"full_attention":    full,
		"sliding_attention": map[string]any{"rope_type": "default", "rope_theta": r.float("rope.freq_base_swa", theta)},
	})
}

func writeOLMo2(w *writing) {
	if !w.config.has("sliding_window") {
		return
	}
	w.set("attention.sliding_window_pattern", w.slides(4))
	theta := 5e5 // the class's default, which rope_theta at the top does not change
	if w.config.object("rope_parameters").has("sliding_attention") {
		theta, _, _ = w.ropeSettings("sliding_attention")
	}
	w.setNumber("rope.freq_base_swa", theta)
}

func readEXAONE4(r *reading) {
	r.set("head_dim", r.headSize())
	if r.int("attention.sliding_window", 0) == 0 {
		r.set("sliding_window", nil)
		return
	}
	r.layerTypes(4)
}

func writeEXAONE4(w *writing) {
	if w.config.has("sliding_window") {
		w.set("attention.sliding_window_pattern", w.slides(4))
	}
}

func readStableLM(r *reading) {
	r.set("use_qkv_bias", r.has("blk.0.attn_q.bias"))
	r.set("qk_layernorm", r.has("blk.0.attn_q_norm.weight"))
}

// writeNemotron writes the norms' epsilon under both keys, as the converter does.
func writeNemotron(w *writing) {
	w.setNumber("attention.layer_norm_rms_epsilon", w.config.float("norm_eps", 1e-5))
	if !w.meta.Has("nemotron.rope.scaling.type") {
		w.set("rope.scaling.type", "none")
	}
}
