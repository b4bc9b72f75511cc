package family

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

func TestCohere(t *testing.T) {
	f := familyTest{
		modelType: "cohere", sizes: []int{8192, 40, 64, 64, 128, 256000, 8192}, eos: []int32{255001}, bos: 5, pad: 0, tied: true,
		refusals: []refusal{{`"logit_scale":0`, "logit_scale 0 is not supported for cohere; it must not be 0"}},
		published: []publishedModel{{
			name: "command-r", json: `"max_position_embeddings":8192,"num_key_value_heads":64,"use_qk_norm":false`, parameters: 34_980_831_232,
			tensors: map[string][]int{
				"model.layers.39.input_layernorm.weight": {8192}, "model.layers.0.input_layernorm.bias": nil,
				"model.layers.0.post_attention_layernorm.weight": nil, "model.norm.weight": {8192},
			},
		}, {
			name:       "command-r-plus",
			json:       `"hidden_size":12288,"intermediate_size":33792,"num_hidden_layers":64,"num_attention_heads":96,"num_key_value_heads":8,"use_qk_norm":true`,
			parameters: 103_810_674_688,
			tensors:    map[string][]int{"model.layers.0.self_attn.q_norm.weight": {96, 128}, "model.layers.0.self_attn.k_norm.weight": {8, 128}},
		}},
	}
	f.run(t)
}

func TestCohere2(t *testing.T) {
	f := familyTest{
		modelType: "cohere2", sizes: []int{8192, 40, 64, 64, 128, 256000, 8192}, eos: []int32{255001}, bos: 5, pad: 0, tied: true,
		refusals: []refusal{{`"use_qk_norm":true`, "use_qk_norm true is not supported for cohere2; leave it out"}},
		published: []publishedModel{{
			name: "command-r7b",
			json: `"hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
				"sliding_window":4096,"sliding_window_pattern":4,"rope_theta":50000,"use_qk_norm":false,"logit_scale":0.25`,
			parameters: 8_028_033_024,
		}},
	}
	f.run(t)
}

// TestCohereFormula checks the differences of Cohere's models from Llama.
func TestCohereFormula(t *testing.T) {
	c, err := ParseConfig([]byte(`{"model_type":"cohere2","num_hidden_layers":5}`))
	require.NoError(t, err)
	require.Equal(t, []int{4096, 4096, 4096, 0, 4096}, windowsOf(c))
	for i, a := range attentions(c) {
		require.Equal(t, i == 3, a.Positions == nil, "layer %d", i)
	}
	whole := c.Compose()
	require.Equal(t, float32(0.0625), whole.Head.Scale)
	require.True(t, whole.Layers[0].Parallel)
	require.True(t, whole.Head.Norm.Centered)
	require.True(t, firstAttention(c).Positions.Interleaved)
	require.Equal(t, 1e4, firstAttention(c).Positions.Rope.Theta)

	old, err := ParseConfig([]byte(`{"model_type":"cohere","use_qk_norm":true}`))
	require.NoError(t, err)
	require.Equal(t, 5e5, firstAttention(old).Positions.Rope.Theta)
	require.Equal(t, nn.Norm{Name: "model.layers.0.self_attn.q_norm", Size: 128, Eps: 1e-5, Centered: true, Turns: 64}, firstAttention(old).QNorm.Norm)

	still, err := ParseConfig([]byte(`{"model_type":"cohere2","num_hidden_layers":1,"sliding_window":null}`))
	require.NoError(t, err)
	require.Nil(t, firstAttention(still).Positions, "without a window there are no positions")
}
