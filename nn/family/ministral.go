package family

import (
	"encoding/json"

	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"ministral"}, read: ministral})
	register(Family{Types: []string{"ministral3"}, read: ministral3})
	register(Family{Types: []string{"mistral3"}, read: func(f *file) *nn.Config {
		return f.language(language{text: "mistral", read: kinds{"mistral": mistral, "ministral3": ministral3}, absent: mistral3Text, tied: true, prefixes: llavaPrefixes, beside: llavaBeside})
	}})
}

// ministral reads Ministral 8B (Mistral AI 2024): Mistral with a sliding window in some
// layers.
func ministral(f *file) *nn.Config {
	return mistralLayers(f, mistralKind{
		defaults: defaults{hidden: 4096, layers: 32, vocabulary: 32000, positions: 131072, bos: 1, eos: []int32{2}, pad: -1},
		eps:      1e-6, window: 4096, types: true,
	})
}

// ministral3 reads Ministral 3 (Mistral AI 2025): Mistral with YaRN and Llama 4's query
// scaling beyond the original context:
//
//	q·(1 + llama_4_scaling_beta·ln(1 + floor(position/original)))
func ministral3(f *file) *nn.Config {
	if !f.has("rope_parameters") && !f.has("rope_scaling") {
		f.keys["rope_parameters"] = json.RawMessage(`{"type": "yarn", "rope_theta": 1000000.0, "factor": 16.0, "original_max_position_embeddings": 16384,
			"beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1}`)
	}
	return mistralLayers(f, mistralKind{
		defaults: defaults{hidden: 4096, layers: 34, vocabulary: 131072, positions: 262144, bos: 1, eos: []int32{2}, pad: 11},
		dim:      128, eps: 1e-5, growth: true,
	})
}

// mistral3Text is the default text_config: Mistral Small 3's.
const mistral3Text = `{"model_type": "mistral", "head_dim": 128, "hidden_size": 5120, "intermediate_size": 32768, "max_position_embeddings": 131072,
	"num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000000.0,
	"sliding_window": null, "vocab_size": 131072}`

// growth reads llama_4_scaling_beta.
func (f *file) growth(r *rope) {
	var p struct {
		Beta float64 `json:"llama_4_scaling_beta"`
	}
	key := "rope_parameters"
	if f.has("rope_scaling") {
		key = "rope_scaling"
	}
	f.value(key, &p)
	switch {
	case p.Beta == 0:
	case r.long != nil:
		f.refuse(key, "llama_4_scaling_beta cannot be combined with longrope")
	default:
		r.growth = p.Beta
	}
}
