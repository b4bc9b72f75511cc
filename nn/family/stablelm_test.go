package family

import "testing"

func TestStableLM(t *testing.T) {
	f := familyTest{
		modelType: "stablelm", sizes: []int{2560, 32, 32, 32, 80, 50304, 4096}, eos: []int32{0}, bos: 0, pad: -1,
		refusals: []refusal{
			{`"head_dim":64`, "num_attention_heads 32 times head_dim 64 is not hidden_size 2560, which stablelm requires"},
			{`"hidden_dropout":2`, "hidden_dropout is 2; it must be at least 0 and below 1"},
		},
		published: []publishedModel{{
			name: "stablelm-2-12b",
			json: `"hidden_size":5120,"intermediate_size":13824,"num_hidden_layers":40,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":100352,
				"qk_layernorm":true,"use_parallel_residual":true,"use_qkv_bias":false,"partial_rotary_factor":0.25,"tie_word_embeddings":false`,
			parameters: 12_143_185_920,
			tensors: map[string][]int{
				"model.layers.39.self_attn.q_layernorm.norms.31.weight": {160}, "model.layers.39.self_attn.k_layernorm.norms.7.weight": {160},
				"model.layers.39.self_attn.k_layernorm.norms.8.weight": nil, "model.layers.0.self_attn.q_layernorm.norms.0.bias": nil,
				"model.layers.0.input_layernorm.bias": {5120}, "model.layers.0.post_attention_layernorm.weight": nil,
			},
		}, {
			name: "stablelm-2-1_6b",
			json: `"hidden_size":2048,"intermediate_size":5632,"num_hidden_layers":24,"num_attention_heads":32,"num_key_value_heads":32,"vocab_size":100352,
				"use_parallel_residual":false,"use_qkv_bias":true,"partial_rotary_factor":0.25,"tie_word_embeddings":false`,
			parameters: 1_644_515_328,
			tensors: map[string][]int{
				"model.layers.0.self_attn.q_proj.bias": {2048}, "model.layers.0.self_attn.o_proj.bias": nil, "model.layers.0.post_attention_layernorm.bias": {2048},
			},
		}},
	}
	f.run(t)
}
