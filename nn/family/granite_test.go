package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGranite(t *testing.T) {
	f := familyTest{
		modelType: "granite", sizes: []int{4096, 32, 32, 32, 128, 32000, 2048}, eos: []int32{2}, bos: 1, pad: -1,
		refusals: []refusal{
			{`"residual_multiplier":0`, "residual_multiplier 0 is not supported for granite; it must not be 0"},
			{`"partial_rotary_factor":0.5`, "partial_rotary_factor 0.5 is not supported for granite; it must be 1"},
			{`"logits_scaling":0.0`, "logits_scaling 0.0 is not supported for granite; it must not be 0"},
		},
		published: []publishedModel{{
			name: "granite-3.1-8b", json: granite8B, parameters: 8_170_848_256,
			tensors: map[string][]int{"model.layers.39.self_attn.v_proj.weight": {1024, 4096}, "model.layers.39.mlp.up_proj.weight": {12800, 4096}, "lm_head.weight": nil},
		}},
	}
	f.run(t)
}

const granite8B = `"hidden_size":4096,"intermediate_size":12800,"num_hidden_layers":40,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":49155,
	"embedding_multiplier":12.0,"attention_multiplier":0.0078125,"residual_multiplier":0.22,"logits_scaling":16.0,"tie_word_embeddings":true,"rope_theta":10000000.0`

func TestGraniteMultipliers(t *testing.T) {
	for json, want := range map[string][]float32{
		`{"model_type":"granite"}`:                   {1, 1, 1, 1, 1},
		`{"model_type":"granite",` + granite8B + `}`: {12, 0.0078125, 0.22, 0.22, 1.0 / 16},
	} {
		c, err := ParseConfig([]byte(json))
		require.NoError(t, err)
		m := c.Compose()
		branches := m.Layers[0].Branches
		require.Equal(t, want, []float32{m.Embedding.Scale, firstAttention(c).Scale, branches[0].Scale, branches[1].Scale, m.Head.Scale}, json)
	}
}
