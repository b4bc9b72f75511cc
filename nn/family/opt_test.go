package family

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

func TestOPT(t *testing.T) {
	f := familyTest{
		modelType: "opt", sizes: []int{768, 12, 12, 12, 64, 50272, 2048}, eos: []int32{2}, bos: 2, pad: 1, tied: true,
		refusals: []refusal{
			{`"layerdrop":0.1`, "layerdrop 0.1 is not supported for opt; leave it out"},
			{`"hidden_size":100`, "hidden_size 100 is not a multiple of num_attention_heads 12"},
			{`"head_dim":32`, "head_dim 32 is not supported for opt; it is hidden_size/num_attention_heads, 64"},
		},
		published: []publishedModel{{
			name: "opt-350m",
			json: `"hidden_size":1024,"ffn_dim":4096,"num_hidden_layers":24,"num_attention_heads":16,"word_embed_proj_dim":512,"do_layer_norm_before":false,
				"vocab_size":50272,"max_position_embeddings":2048,"dropout":0.1,"activation_function":"relu","layerdrop":0.0`,
			parameters: 331_196_416,
			tensors: map[string][]int{
				"model.decoder.embed_tokens.weight": {50272, 512}, "model.decoder.embed_positions.weight": {2050, 1024},
				"model.decoder.project_in.weight": {1024, 512}, "model.decoder.project_out.weight": {512, 1024}, "model.decoder.project_in.bias": nil,
				"model.decoder.final_layer_norm.weight": nil, "lm_head.weight": nil,
				"model.decoder.layers.23.self_attn.out_proj.bias": {1024}, "model.decoder.layers.23.self_attn_layer_norm.bias": {1024},
				"model.decoder.layers.0.fc1.weight": {4096, 1024}, "model.decoder.layers.0.final_layer_norm.weight": {1024},
			},
		}, {
			name:       "opt-125m",
			json:       `"word_embed_proj_dim":768`,
			parameters: 125_239_296,
			tensors:    map[string][]int{"model.decoder.project_in.weight": nil, "model.decoder.final_layer_norm.weight": {768}},
		}},
	}
	f.run(t)
}

// TestOPTDropout checks that a file without a dropout key has dropout 0.1.
func TestOPTDropout(t *testing.T) {
	for json, want := range map[string]float32{`{"model_type":"opt"}`: 0.1, `{"model_type":"opt","dropout":0.0}`: 0} {
		c, err := ParseConfig([]byte(json))
		require.NoError(t, err)
		for _, b := range c.Compose().Layers[11].Branches {
			require.Equal(t, want, b.Dropout, json)
			require.Equal(t, nn.PreNorm, b.Residual)
		}
	}
}
