package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHyperCLOVAX(t *testing.T) {
	f := familyTest{
		modelType: "hyperclovax", sizes: []int{4096, 32, 32, 32, 128, 32000, 2048}, eos: []int32{2}, bos: 1, pad: -1,
		refusals: []refusal{
			{`"residual_multiplier":0`, "residual_multiplier 0 is not supported for hyperclovax; it must not be 0"},
			{`"attention_multiplier":0.0`, "attention_multiplier 0.0 is not supported for hyperclovax; it must not be 0"},
			{`"partial_rotary_factor":0.5`, "partial_rotary_factor 0.5 is not supported for hyperclovax; it must be 1"},
			{`"hidden_act":"tanh"`, `hidden_act "tanh" is not supported for hyperclovax; use silu, gelu, gelu_new, relu or relu2`},
		},
		published: []publishedModel{{
			name: "the class's defaults", json: `"use_post_norm":true`, parameters: 6_738_677_760,
			tensors: map[string][]int{
				"model.layers.31.post_norm1.weight": {4096}, "model.layers.31.post_norm2.weight": {4096}, "lm_head.weight": {32000, 4096},
			},
		}, {
			name: "without the norms behind", json: `"use_post_norm":false`, parameters: 6_738_415_616, // Llama 2 7B's
			tensors: map[string][]int{"model.layers.0.post_norm1.weight": nil, "model.layers.0.post_norm2.weight": nil},
		}},
	}
	f.run(t)
}

func TestHyperCLOVAXMultipliers(t *testing.T) {
	for json, want := range map[string][]float32{
		`,"head_dim":64`: {1, 0.125, 1, 1, 1},
		`,"head_dim":64,"attention_multiplier":null`:                                                              {1, 0.125, 1, 1, 1},
		`,"embedding_multiplier":10,"attention_multiplier":0.5,"residual_multiplier":0.25,"logits_scaling":0.125`: {10, 0.5, 0.25, 0.25, 0.125},
	} {
		c := parsed(t, `{"model_type":"hyperclovax"`+json+`}`)
		m := c.Compose()
		branches := m.Layers[0].Branches
		require.Equal(t, want, []float32{m.Embedding.Scale, firstAttention(c).Scale, branches[0].Scale, branches[1].Scale, m.Head.Scale}, json)
	}
}
