package llamacpp

import "fmt"

// llamaRows are Llama's tensors. pairs: llama.cpp rotates neighbours, so that the rows of q and
// k are in another order.
func llamaRows(pairsOfNeighbours bool) []row {
	rows := []row{
		{gguf: "token_embd", hf: "model.embed_tokens"},
		{gguf: "output_norm", hf: "model.norm"},
		{gguf: "output", hf: "lm_head"},
		{gguf: "blk.N.attn_norm", hf: "model.layers.N.input_layernorm"},
		{gguf: "blk.N.attn_q", hf: "model.layers.N.self_attn.q_proj"},
		{gguf: "blk.N.attn_k", hf: "model.layers.N.self_attn.k_proj"},
		{gguf: "blk.N.attn_v", hf: "model.layers.N.self_attn.v_proj"},
		{gguf: "blk.N.attn_output", hf: "model.layers.N.self_attn.o_proj"},
		{gguf: "blk.N.ffn_norm", hf: "model.layers.N.post_attention_layernorm"},
		{gguf: "blk.N.ffn_gate", hf: "model.layers.N.mlp.gate_proj"},
		{gguf: "blk.N.ffn_up", hf: "model.layers.N.mlp.up_proj"},
		{gguf: "blk.N.ffn_down", hf: "model.layers.N.mlp.down_proj"},
	}
	if pairsOfNeighbours {
		rows[4].order = pairs((*Model).headCount)
		rows[5].order = pairs((*Model).keyHeadCount)
	}
	return rows
}

// with returns rows with some replaced by their GGUF name, and others appended; an empty hf
// removes a row.
func with(rows []row, others ...row) []row {
	out := rows[:0:0]
	for _, r := range rows {
		for _, o := range others {
			if o.gguf == r.gguf {
				r.hf = ""
			}
		}
		if r.hf != "" {
			out = append(out, r)
		}
	}
	for _, o := range others {
		if o.hf != "" {
			out = append(out, o)
		}
	}
	return out
}

// headNorms are the norms of queries and keys.
func headNorms(q, k string) []row {
	return []row{{gguf: "blk.N.attn_q_norm", hf: "model.layers.N.self_attn." + q}, {gguf: "blk.N.attn_k_norm", hf: "model.layers.N.self_attn." + k}}
}

func init() {
	keys := plainKeys(rmsEps(1e-6), keySize, valueSize, vocabSize)
	register(
		Architecture{
			Name: "llama", Type: "llama", Class: "LlamaForCausalLM", Types: []string{"llama", "mistral"},
			keys: keys, fixed: []fixed{silu}, rows: llamaRows(true), read: readLlama, write: writeMistral,
		},
		Architecture{
			Name: "mistral3", Type: "mistral", Class: "MistralForCausalLM", Types: []string{"ministral3", "mistral3"},
			keys: keys, fixed: []fixed{silu}, rows: llamaRows(true), read: readMistral3, write: writeMistral3,
		},
		Architecture{
			Name: "arcee", Type: "arcee", Class: "ArceeForCausalLM", Types: []string{"arcee"},
			keys: keys, fixed: []fixed{activation("hidden_act", "relu2")}, rows: with(llamaRows(true), row{gguf: "blk.N.ffn_gate"}), read: readLlama,
		},
		Architecture{
			Name: "smollm3", Type: "smollm3", Class: "SmolLM3ForCausalLM", Types: []string{"smollm3"},
			keys: keys, fixed: []fixed{silu, {key: "use_sliding_window", values: []any{false}}}, rows: llamaRows(true),
			rope: ropeKind{theta: 2e6}, read: readSmolLM3, write: writeSmolLM3,
		},
		Architecture{
			Name: "granite", Type: "granite", Class: "GraniteForCausalLM", Types: []string{"granite"},
			keys: plainKeys(rmsEps(1e-6), vocabSize,
				key{"attention.scale", "attention_multiplier", number, 1.0}, key{"embedding_scale", "embedding_multiplier", number, 1.0},
				key{"residual_scale", "residual_multiplier", number, 1.0}, key{"logit_scale", "logits_scaling", number, 1.0}),
			fixed: []fixed{silu}, rows: llamaRows(true), read: readLlama,
		},
		// Llamas by another name.
		Architecture{Name: "internlm2", Type: "llama", Class: "LlamaForCausalLM", keys: keys, fixed: []fixed{silu}, rows: llamaRows(true), read: readLlama},
		Architecture{Name: "xverse", Type: "llama", Class: "LlamaForCausalLM", keys: keys, fixed: []fixed{silu}, rows: llamaRows(true), read: readLlama},
		Architecture{Name: "exaone", Type: "llama", Class: "LlamaForCausalLM", keys: keys, fixed: []fixed{silu}, rows: llamaRows(false), read: readLlama},
	)
}

// readLlama sets which layers have biases.
func readLlama(r *reading) {
	r.set("attention_bias", r.has("blk.0.attn_q.bias") || r.has("blk.0.attn_qkv.bias"))
	r.set("mlp_bias", r.has("blk.0.ffn_up.bias"))
	r.set("head_dim", r.headSize())
}

// writeMistral notes that llama.cpp has no window for Mistral.
func writeMistral(w *writing) {
	w.windowless()
}

// windowless adds a note if config.json has a sliding window, which the architecture lacks.
func (w *writing) windowless() {
	window, most := w.config.int("sliding_window", 0), w.config.int("max_position_embeddings", 0)
	if window > 0 && window < most && w.config.bool("use_sliding_window", true) && w.config.text("model_type", "") != "llama" {
		w.notes = append(w.notes, fmt.Sprintf("llama.cpp ignores the sliding window of architecture %s: beyond %d tokens its results differ", w.Architecture.Name, window))
	}
}

// readMistral3 reads Mistral Small 3 and, with a temperature, Ministral 3.
func readMistral3(r *reading) {
	r.set("sliding_window", nil)
	r.set("head_dim", r.headSize())
	beta := r.float("attention.temperature_scale", 0)
	s, _ := r.config["rope_scaling"].(map[string]any)
	if beta == 0 {
		return
	}
	if s == nil {
		r.fail("mistral3.attention.temperature_scale needs RoPE of type yarn")
		return
	}
	r.set("model_type", "ministral3")
	r.set("architectures", []string{"Ministral3ForCausalLM"})
	s["llama_4_scaling_beta"] = beta
}

func writeMistral3(w *writing) {
	w.windowless()
	_, _, s := w.ropeSettings("")
	if s.has("mscale_all_dim") {
		w.setNumber("rope.scaling.yarn_log_multiplier", s.float("mscale_all_dim", 0))
	}
	if s.has("llama_4_scaling_beta") {
		w.setNumber("attention.temperature_scale", s.float("llama_4_scaling_beta", 0))
	}
}

// ropelessLayers is llama.cpp's interval of SmolLM3's layers without positions.
const ropelessLayers = 4

func readSmolLM3(r *reading) {
	readLlama(r)
	r.set("no_rope_layer_interval", ropelessLayers)
}

func writeSmolLM3(w *writing) {
	for i, rotates := range w.config.floats("no_rope_layers") {
		if (rotates != 0) != ((i+1)%ropelessLayers != 0) {
			w.fail("no_rope_layers: llama.cpp has no positions in every fourth layer and no other")
		}
	}
	if w.config.int("no_rope_layer_interval", ropelessLayers) != ropelessLayers && !w.config.has("no_rope_layers") {
		w.fail("no_rope_layer_interval: llama.cpp computes with 4")
	}
}
