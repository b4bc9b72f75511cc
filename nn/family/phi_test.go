package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPhi(t *testing.T) {
	f := familyTest{
		modelType: "phi", sizes: []int{2048, 24, 32, 32, 64, 51200, 2048}, eos: []int32{2}, bos: 1, pad: -1,
		refusals: []refusal{
			{`"embd_pdrop":-1`, "embd_pdrop is -1; it must be at least 0 and below 1"},
			{`"partial_rotary_factor":0.49`, "head_dim 64 is odd; rotary positions need pairs, and 31 dimensions are rotated"},
		},
		published: []publishedModel{{
			name: "phi-2",
			json: `"hidden_size":2560,"intermediate_size":10240,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":32,
				"partial_rotary_factor":0.4,"qk_layernorm":false,"resid_pdrop":0.1,"vocab_size":51200,"tie_word_embeddings":false`,
			parameters: 2_779_683_840,
			tensors: map[string][]int{
				"lm_head.weight": {51200, 2560}, "lm_head.bias": {51200}, "model.final_layernorm.bias": {2560},
				"model.layers.31.self_attn.dense.weight": {2560, 2560}, "model.layers.31.self_attn.q_proj.bias": {2560},
				"model.layers.0.mlp.fc1.weight": {10240, 2560}, "model.layers.0.mlp.fc2.bias": {2560}, "model.layers.0.post_attention_layernorm.weight": nil,
			},
		}, {
			name:       "head norms, fewer key heads",
			json:       `"num_hidden_layers":1,"qk_layernorm":true,"num_key_value_heads":4,"vocab_size":1000`,
			parameters: 47_111_912,
			tensors: map[string][]int{
				"model.layers.0.self_attn.q_layernorm.weight": {64}, "model.layers.0.self_attn.k_layernorm.bias": {64},
				"model.layers.0.self_attn.k_proj.weight": {256, 2048},
			},
		}},
	}
	f.run(t)
}

// TestPhiRotary checks that half of each head is rotated by default, also if a file has
// rope_parameters without partial_rotary_factor.
func TestPhiRotary(t *testing.T) {
	for json, want := range map[string]int{
		`{"model_type":"phi"}`: 32,
		`{"model_type":"phi","rope_parameters":{"rope_type":"default","rope_theta":10000}}`: 32,
		`{"model_type":"phi","rope_parameters":{"partial_rotary_factor":0.25}}`:             16,
		`{"model_type":"phi","partial_rotary_factor":0.75}`:                                 48,
	} {
		c, err := ParseConfig([]byte(json))
		require.NoError(t, err)
		require.Equal(t, want, firstAttention(c).Positions.Dims, json)
	}
}
