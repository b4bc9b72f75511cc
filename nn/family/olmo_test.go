package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOLMo(t *testing.T) {
	sizes := []int{4096, 32, 32, 32, 128, 50304, 2048}
	for _, f := range []familyTest{{
		modelType: "olmo", sizes: sizes, eos: []int32{50279}, bos: -1, pad: 1,
		refusals: []refusal{
			{`"clip_qkv":0`, "clip_qkv 0 is not supported for olmo; it must be positive or null"},
			{`"clip_qkv":-8`, "clip_qkv -8 is not supported for olmo; it must be positive or null"},
		},
		published: []publishedModel{{
			name: "OLMo-7B-hf", json: `"clip_qkv":null`, parameters: 6_888_095_744,
			tensors: map[string][]int{"model.layers.0.input_layernorm.weight": nil, "model.norm.weight": nil, "lm_head.weight": {50304, 4096}},
		}},
	}, {
		modelType: "olmo2", sizes: sizes, eos: []int32{50279}, bos: -1, pad: 1,
		refusals: []refusal{{`"rms_norm_eps":0`, "rms_norm_eps is 0; it must be a small positive number"}},
		published: []publishedModel{{
			name: "OLMo-2-1124-7B", json: `"vocab_size":100352,"max_position_embeddings":4096,"rope_theta":500000,"rms_norm_eps":1e-6`, parameters: 7_298_617_344,
			tensors: map[string][]int{
				"model.layers.31.self_attn.q_norm.weight": {4096}, "model.layers.31.post_feedforward_layernorm.weight": {4096},
				"model.layers.31.post_attention_layernorm.weight": {4096}, "model.layers.31.input_layernorm.weight": nil,
			},
		}, {
			name:       "OLMo-2-0325-32B",
			json:       `"vocab_size":100352,"hidden_size":5120,"intermediate_size":27648,"num_hidden_layers":64,"num_attention_heads":40,"num_key_value_heads":8`,
			parameters: 32_234_279_936,
			tensors:    map[string][]int{"model.layers.63.self_attn.q_norm.weight": {5120}, "model.layers.63.self_attn.k_norm.weight": {1024}},
		}},
	}, {
		modelType: "olmo3", sizes: sizes, eos: []int32{50279}, bos: -1, pad: 1,
		refusals: []refusal{
			{`"rope_parameters":{"rope_theta":5}`, `rope_parameters {"rope_theta":5} is not supported for olmo3; it must have full_attention and sliding_attention`},
			{`"rope_scaling":{"type":"yarn","factor":8}`, `rope_scaling {"type":"yarn","factor":8} is not supported for olmo3; it must have rope_type`},
			{`"layer_types":["full_attention"]`, "layer_types names 1 layers of 32"},
		},
	}} {
		t.Run(f.modelType, f.run)
	}
}

// TestOLMo3Positions checks that top-level RoPE keys apply to full layers only.
func TestOLMo3Positions(t *testing.T) {
	type kind struct {
		Type   string
		Theta  float64
		Window int
	}
	for _, c := range []struct {
		name, keys    string
		sliding, full kind
	}{
		{"nothing", "", kind{"default", 500000, 4096}, kind{"default", 500000, 0}},
		{"the top", `,"rope_theta":7.0,"sliding_window":5,"rope_scaling":{"rope_type":"yarn","factor":8.0,"original_max_position_embeddings":64}`, kind{"default", 500000, 5}, kind{"yarn", 7, 0}},
		{"each kind", `,"rope_parameters":{"sliding_attention":{"rope_theta":3.0},"full_attention":{"rope_type":"linear","factor":2.0,"rope_theta":4.0}}`, kind{"default", 3, 4096}, kind{"linear", 4, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := ParseConfig([]byte(`{"model_type":"olmo3","num_hidden_layers":8` + c.keys + `}`))
			require.NoError(t, err)
			for i, a := range attentions(config) {
				want := c.sliding
				if i%4 == 3 {
					want = c.full
				}
				require.Equal(t, want, kind{a.Positions.Rope.Type, a.Positions.Rope.Theta, a.Window}, "layer %d", i)
			}
		})
	}
}
