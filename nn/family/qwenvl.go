package family

import (
	"encoding/json"

	"qlora/nn"
)

func init() {
	register(Family{Types: []string{"qwen2_vl"}, read: func(f *file) *nn.Config {
		return f.language(language{text: "qwen2_vl_text", read: kinds{"qwen2_vl_text": qwen2VL}, flat: true, prefixes: qwenVLPrefixes, beside: qwenVLBeside})
	}})
	register(Family{Types: []string{"qwen2_5_vl"}, read: func(f *file) *nn.Config {
		return f.language(language{text: "qwen2_5_vl_text", read: kinds{"qwen2_5_vl_text": qwen2VL}, flat: true, prefixes: qwenVLPrefixes, beside: qwenVLBeside})
	}})
	register(Family{Types: []string{"qwen3_vl"}, read: func(f *file) *nn.Config {
		return f.language(language{text: "qwen3_vl_text", read: kinds{"qwen3_vl_text": qwen3VL}, beside: qwenVLBeside})
	}})
}

// qwenVLPrefixes are the name prefixes in Qwen2-VL's and 2.5-VL's checkpoints.
var qwenVLPrefixes = []nn.Prefix{{Model: languageRoot + ".", Stored: "model."}}

var qwenVLBeside = []string{"model.visual"}

// qwen2VL reads the text part of Qwen2-VL and Qwen2.5-VL (Wang et al. 2024): Qwen 2.
// Each token has three positions (time, height, width) over disjoint dimensions; for
// text the three are equal, so this is plain RoPE.
func qwen2VL(f *file) *nn.Config {
	f.onePosition()
	return qwen(f, qwenKind{
		defaults: defaults{hidden: 8192, layers: 80, vocabulary: 152064, positions: 32768, bos: 151643, eos: []int32{151645}, pad: -1},
		heads:    64, kv: 8, size: 29568, eps: 1e-5, theta: 1e6, biases: true, windows: true, fullLayers: 80,
	})
}

// qwen3VL reads the text part of Qwen3-VL: Qwen 3 with positions as in Qwen2-VL.
func qwen3VL(f *file) *nn.Config {
	f.onePosition()
	return qwen(f, qwenKind{
		defaults: defaults{hidden: 4096, layers: 32, vocabulary: 151936, positions: 128000, bos: -1, pad: -1},
		heads:    32, kv: 32, dim: 128, size: 22016, eps: 1e-6, theta: 5e5, headNorms: true,
	})
}

// onePosition replaces RoPE of type mrope by plain RoPE.
func (f *file) onePosition() {
	for _, key := range []string{"rope_parameters", "rope_scaling"} {
		var p map[string]any
		f.value(key, &p)
		if p == nil {
			continue
		}
		for _, kind := range []string{"type", "rope_type"} {
			if p[kind] == "mrope" {
				p[kind] = "default"
			}
		}
		text, err := json.Marshal(p)
		if err != nil {
			f.fail("%s: %w", key, err)
		}
		f.keys[key] = text
	}
}
