package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGLM(t *testing.T) {
	for _, kind := range []struct {
		modelType, published string
		parameters           int
		postNorm             []int
	}{
		{"glm", "glm-4-9b", 9_399_951_360, nil},
		{"glm4", "GLM-4-9B-0414", 9_400_279_040, []int{4096}},
	} {
		f := familyTest{
			modelType: kind.modelType, sizes: []int{4096, 40, 32, 2, 128, 151552, 131072},
			eos: []int32{151329, 151336, 151338}, bos: -1, pad: 151329,
			refusals: []refusal{
				{`"hidden_act":"quick_gelu"`, `hidden_act "quick_gelu" is not supported for ` + kind.modelType + `; use silu, gelu, gelu_new, relu or relu2`},
				{`"partial_rotary_factor":0.001`, "partial_rotary_factor is 0.001; it must be above 0 and at most 1, and leave two dimensions of 128"},
			},
			published: []publishedModel{{
				name: kind.published, json: `"partial_rotary_factor":0.5,"rms_norm_eps":1.5625e-07`, parameters: kind.parameters,
				tensors: map[string][]int{
					"model.layers.0.self_attn.k_proj.bias": {256}, "model.layers.0.self_attn.o_proj.bias": nil,
					"model.layers.39.mlp.gate_up_proj.weight":        {27392, 4096},
					"model.layers.0.post_self_attn_layernorm.weight": kind.postNorm,
					"model.layers.0.post_mlp_layernorm.weight":       kind.postNorm,
					"model.layers.0.post_attention_layernorm.weight": {4096},
					"lm_head.weight": {151552, 4096},
				},
			}},
		}
		t.Run(kind.modelType, f.run)
	}
	c, err := ParseConfig([]byte(`{"model_type":"glm","head_dim":null,"hidden_size":2048}`))
	require.NoError(t, err)
	a := firstAttention(c)
	require.Equal(t, []int{64, 32}, []int{a.HeadDim, a.Positions.Dims})
	require.True(t, a.Positions.Interleaved)
}
