package family

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// TestRelatives checks the families that differ little from Llama.
func TestRelatives(t *testing.T) {
	for _, f := range []familyTest{{
		modelType: "arcee", sizes: []int{2560, 32, 32, 32, 80, 32000, 4096}, eos: []int32{128001}, bos: 128000, pad: -1,
		published: []publishedModel{{
			name: "without a gate", json: `"num_hidden_layers":1,"mlp_bias":true`, parameters: 284_454_912,
			tensors: map[string][]int{"model.layers.0.mlp.gate_proj.weight": nil, "model.layers.0.mlp.up_proj.bias": {18432}, "model.layers.0.self_attn.q_proj.bias": nil},
		}},
	}, {
		modelType: "seed_oss", sizes: []int{4096, 64, 80, 8, 128, 155136, 524288}, eos: []int32{2}, bos: 0, pad: 1,
		published: []publishedModel{{
			name: "Seed-OSS-36B", json: `"hidden_size":5120`, parameters: 36_151_104_512,
			tensors: map[string][]int{"model.layers.0.self_attn.q_proj.bias": {10240}, "model.layers.0.self_attn.o_proj.bias": nil, "model.layers.0.self_attn.o_proj.weight": {5120, 10240}},
		}},
	}, {
		modelType: "helium", sizes: []int{2560, 24, 20, 20, 128, 48000, 4096}, eos: []int32{2}, bos: 1, pad: 3,
		refusals: []refusal{{`"head_dim":64`, "num_attention_heads 20 times head_dim 64 is not hidden_size 2560, which helium requires"}},
		published: []publishedModel{{
			name: "biases but o's", json: `"num_hidden_layers":1,"attention_bias":true`, parameters: 326_056_960,
			tensors: map[string][]int{"model.layers.0.self_attn.v_proj.bias": {2560}, "model.layers.0.self_attn.o_proj.bias": nil},
		}},
	}, {
		modelType: "ernie4_5", sizes: []int{1024, 18, 16, 2, 128, 103424, 131072}, eos: []int32{2}, bos: 1, pad: 0, tied: true,
		published: []publishedModel{{
			name: "ERNIE-4.5-0.3B", json: `"use_bias":false`, parameters: 360_748_032,
			tensors: map[string][]int{"model.layers.17.self_attn.k_proj.weight": {256, 1024}, "lm_head.weight": nil},
		}},
	}, {
		modelType: "exaone4", sizes: []int{4096, 32, 32, 32, 128, 102400, 2048}, eos: []int32{2}, bos: 0, pad: -1,
		refusals: []refusal{{
			`"sliding_window_pattern":"LLLG"`,
			`sliding_window_pattern "LLLG" has the wrong type; it must be a whole number`,
		}},
		published: []publishedModel{{
			name: "EXAONE-4.0-1.2B",
			json: `"hidden_size":2048,"intermediate_size":4096,"num_hidden_layers":30,"num_attention_heads":32,"num_key_value_heads":8,"head_dim":64,
				"sliding_window":null,"sliding_window_pattern":null,"tie_word_embeddings":true`,
			parameters: 1_279_391_488,
			tensors:    map[string][]int{"model.layers.29.self_attn.k_norm.weight": {64}, "model.layers.29.post_feedforward_layernorm.weight": {2048}},
		}},
	}, {
		modelType: "nemotron", sizes: []int{6144, 32, 48, 48, 128, 256000, 4096}, eos: []int32{3}, bos: 2, pad: -1,
		published: []publishedModel{{
			name:       "Minitron-4B",
			json:       `"hidden_size":3072,"intermediate_size":9216,"num_attention_heads":24,"num_key_value_heads":8,"head_dim":128`,
			parameters: 4_190_509_056,
			tensors:    map[string][]int{"model.layers.31.input_layernorm.bias": {3072}, "model.layers.31.mlp.gate_proj.weight": nil, "model.norm.bias": {3072}},
		}},
	}, {
		modelType: "hunyuan_v1_dense", sizes: []int{4096, 32, 32, 32, 128, 290943, 2048}, eos: []int32{2}, bos: 1, pad: 0,
		refusals: []refusal{
			{`"use_cla":true`, "use_cla true is not supported for hunyuan_v1_dense; leave it out"},
			{`"rope_scaling":{"type":"dynamic","factor":2.0}`, `rope_type "dynamic" is not supported; use default, linear, llama3, yarn or longrope`},
		},
		published: []publishedModel{{
			name: "fewer key heads, alpha",
			json: `"hidden_size":1024,"intermediate_size":3584,"num_hidden_layers":24,"num_attention_heads":8,"num_key_value_heads":4,"head_dim":128,"vocab_size":120818,
				"tie_word_embeddings":true,"rope_scaling":{"alpha":1000.0,"beta_fast":32,"beta_slow":1,"factor":1.0,"mscale":1.0,"mscale_all_dim":1.0,"type":"dynamic"}`,
			parameters: 463_512_576,
			tensors:    map[string][]int{"model.layers.23.self_attn.query_layernorm.weight": {128}, "model.layers.23.self_attn.k_proj.weight": {512, 1024}},
		}},
	}} {
		t.Run(f.modelType, f.run)
	}
}

// TestRelativesPositions checks which layers use RoPE, on which dimensions, and how.
func TestRelativesPositions(t *testing.T) {
	first := func(t *testing.T, json string) *nn.Rotary {
		c, err := ParseConfig([]byte(json))
		require.NoError(t, err)
		return firstAttention(c).Positions
	}
	require.True(t, first(t, `{"model_type":"helium"}`).Interleaved)
	require.True(t, first(t, `{"model_type":"ernie4_5"}`).Interleaved)
	require.Equal(t, 64, first(t, `{"model_type":"nemotron"}`).Dims)
	alpha := first(t, `{"model_type":"hunyuan_v1_dense","rope_theta":7.0,"rope_scaling":{"type":"dynamic","alpha":1000.0,"factor":1.0}}`).Rope
	require.Equal(t, "default", alpha.Type)
	require.InDelta(t, 7*math.Pow(1000, 128.0/126), alpha.Theta, 1e-9)

	for json, rotary := range map[string][]bool{
		`{"model_type":"exaone4","num_hidden_layers":5}`:                                                      {true, true, true, false, true},
		`{"model_type":"exaone4","num_hidden_layers":2,"sliding_window":null}`:                                {true, true},
		`{"model_type":"exaone4","num_hidden_layers":2,"layer_types":["full_attention","sliding_attention"]}`: {false, true},
	} {
		c, err := ParseConfig([]byte(json))
		require.NoError(t, err)
		for i, a := range attentions(c) {
			require.Equal(t, rotary[i], a.Positions != nil, "%s: layer %d", json, i)
		}
	}
}

// TestSeedOSSDropout checks that a file without a dropout key has the default dropout.
func TestSeedOSSDropout(t *testing.T) {
	c, err := ParseConfig([]byte(`{"model_type":"seed_oss"}`))
	require.NoError(t, err)
	require.EqualValues(t, float32(0.1), firstAttention(c).Dropout)
	require.EqualValues(t, float32(0.1), c.Compose().Layers[0].Branches[1].Dropout)
}
