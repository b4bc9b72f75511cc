package llamacpp

import (
	"slices"

	"qlora/internal/gguf"
)

// gemmaRows are Gemma's tensors. llama.cpp's norms have weights 1 + w.
func gemmaRows(fourNorms bool, more ...row) []row {
	rows := llamaRows(false)
	if fourNorms {
		rows = with(rows,
			row{gguf: "blk.N.post_attention_norm", hf: "model.layers.N.post_attention_layernorm"},
			row{gguf: "blk.N.ffn_norm", hf: "model.layers.N.pre_feedforward_layernorm"},
			row{gguf: "blk.N.post_ffw_norm", hf: "model.layers.N.post_feedforward_layernorm"})
	}
	rows = append(rows, more...)
	return onePlus(rows)
}

// onePlus returns rows with the norms' weights shifted.
func onePlus(rows []row) []row {
	for i := range rows {
		if isNorm(rows[i].gguf) {
			rows[i].shift = 1
		}
	}
	return rows
}

func init() {
	keys := plainKeys(rmsEps(1e-6), key{"attention.key_length", "head_dim", count, 256}, key{"attention.value_length", "head_dim", count, 256})
	caps := []key{
		{"attention.sliding_window", "sliding_window", count, 4096},
		{"attn_logit_softcapping", "attn_logit_softcapping", number, 50.0},
		{"final_logit_softcapping", "final_logit_softcapping", number, 30.0},
	}
	register(
		Architecture{
			Name: "gemma", Type: "gemma", Class: "GemmaForCausalLM", Types: []string{"gemma"}, tied: true, keys: keys,
			fixed: []fixed{activation("hidden_act", "gelu_pytorch_tanh", "gelu", "gelu_new")}, rows: gemmaRows(false),
		},
		Architecture{
			Name: "gemma2", Type: "gemma2", Class: "Gemma2ForCausalLM", Types: []string{"gemma2"}, tied: true, keys: append(slices.Clip(keys), caps...),
			fixed: []fixed{activation("hidden_activation", "gelu_pytorch_tanh")}, rows: gemmaRows(true),
			read: func(r *reading) { r.gemmaLayers(2, 46) }, write: func(w *writing) { w.gemmaLayers(2, 46) },
		},
		Architecture{
			Name: "gemma3", Type: "gemma3_text", Class: "Gemma3ForCausalLM", Types: []string{"gemma3_text", "gemma3"}, tied: true,
			keys: append(slices.Clip(keys), key{"attention.sliding_window", "sliding_window", count, 4096},
				key{"final_logit_softcapping", "final_logit_softcapping", number, nil}),
			fixed: []fixed{activation("hidden_activation", "gelu_pytorch_tanh"), {key: "attn_logit_softcapping", values: []any{nil}}},
			rows:  gemmaRows(true, headNorms("q_norm", "k_norm")...), rope: ropeKind{theta: 1e6}, read: readGemma3, write: writeGemma3,
		},
	)
}

// gemmaLayers sets the scale of the scores and which layers have the window: all but each
// pattern-th. llama.cpp knows the scale by the number of layers: that of the 27B model is other.
func (r *reading) gemmaLayers(pattern, largest int64) {
	size := r.headSize()
	if r.int("block_count", 0) == largest {
		size = r.int("embedding_length", 1) / max(1, r.int("attention.head_count", 1))
	}
	r.set("query_pre_attn_scalar", size)
	r.layerTypes(pattern)
}

// layerTypes sets layer_types by attention.sliding_window_pattern: an interval or a list.
func (r *reading) layerTypes(pattern int64) {
	n := min(r.int("block_count", 0), 1<<12)
	list, _ := gguf.Of[[]bool](r.meta, r.arch.Name+".attention.sliding_window_pattern")
	pattern = r.int("attention.sliding_window_pattern", pattern)
	if list != nil && int64(len(list)) != n {
		r.fail("%s.attention.sliding_window_pattern names %d layers of %d", r.arch.Name, len(list), n)
		return
	}
	types := make([]string, max(0, n))
	for i := range types {
		slides := pattern == 0 || int64(i)%pattern < pattern-1
		if list != nil {
			slides = list[i]
		}
		types[i] = map[bool]string{true: "sliding_attention", false: "full_attention"}[slides]
	}
	r.set("layer_types", types)
}

// slides returns which layers have a window by layer_types, or by the class's interval.
func (w *writing) slides(pattern int64) []bool {
	all := make([]bool, w.count(layers))
	pattern = max(1, w.config.int("sliding_window_pattern", w.config.int("_sliding_window_pattern", pattern)))
	types := w.config.texts("layer_types")
	for i := range all {
		all[i] = int64(i)%pattern < pattern-1
		if len(types) == len(all) {
			all[i] = types[i] == "sliding_attention"
		}
	}
	return all
}

// layerTypes writes attention.sliding_window_pattern if it is not the one that llama.cpp takes.
func (w *writing) layerTypes(class, theirs int64) {
	all := w.slides(class)
	for i, slides := range all {
		if slides != (int64(i)%theirs < theirs-1) {
			w.set("attention.sliding_window_pattern", all)
			return
		}
	}
}

func (w *writing) gemmaLayers(pattern, largest int64) {
	want := float64(w.headSize())
	if int64(w.count(layers)) == largest {
		want = float64(w.count(width) / w.headCount())
	}
	if got := w.config.float("query_pre_attn_scalar", 256); got != want {
		w.fail("query_pre_attn_scalar is %v, and llama.cpp computes with %v", got, want)
	}
	w.layerTypes(pattern, pattern)
}

func readGemma3(r *reading) {
	r.gemmaLayers(6, 62)
	if r.int("attention.sliding_window", 0) == 0 {
		r.set("sliding_window", nil)
	}
	r.set("rope_local_base_freq", r.float("rope.freq_base_swa", defaultTheta))
}

func writeGemma3(w *writing) {
	w.gemmaLayers(6, 62)
	theta, _, _ := w.ropeSettings("sliding_attention")
	if !w.config.object("rope_parameters").has("sliding_attention") {
		theta = w.config.float("rope_local_base_freq", defaultTheta)
	}
	w.setNumber("rope.freq_base_swa", theta)
}
