package family

import "testing"

func TestStarCoder2(t *testing.T) {
	f := familyTest{
		modelType: "starcoder2", sizes: []int{3072, 30, 24, 2, 128, 49152, 4096},
		eos: []int32{50256}, bos: 50256, pad: -1, tied: true,
		refusals: []refusal{
			{`"hidden_act":"tanh"`, `hidden_act "tanh" is not supported for starcoder2; use silu, gelu, gelu_new, relu or relu2`},
			{`"residual_dropout":1`, "residual_dropout is 1; it must be at least 0 and below 1"},
		},
		published: []publishedModel{{
			name: "starcoder2-7b",
			json: `"hidden_size":4608,"intermediate_size":18432,"num_hidden_layers":32,"num_attention_heads":36,"num_key_value_heads":4,"sliding_window":4096,
				"rope_theta":1000000,"norm_epsilon":1e-5,"use_bias":true,"vocab_size":49152,"max_position_embeddings":16384`,
			parameters: 7_173_923_840,
			tensors: map[string][]int{
				"model.layers.31.self_attn.k_proj.weight": {512, 4608}, "model.layers.31.self_attn.o_proj.bias": {4608},
				"model.layers.0.mlp.c_fc.weight": {18432, 4608}, "model.layers.0.mlp.c_proj.bias": {4608}, "model.norm.bias": {4608}, "lm_head.weight": nil,
			},
		}},
	}
	f.run(t)
}
