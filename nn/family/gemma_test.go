package family

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nn"
)

func TestGemma(t *testing.T) {
	f := familyTest{
		modelType: "gemma", sizes: []int{3072, 28, 16, 16, 256, 256000, 8192}, eos: []int32{1}, bos: 2, pad: 0, tied: true,
		refusals: []refusal{
			{`"use_bidirectional_attention":true`, "use_bidirectional_attention true is not supported for gemma; leave it out"},
			{`"hidden_activation":"silu"`, `hidden_activation "silu" is not supported for gemma; it must equal hidden_act or be left out`},
			{`"attention_dropout":1`, "attention_dropout is 1; it must be at least 0 and below 1"},
		},
		published: []publishedModel{{
			name: "gemma-2b",
			json: `"hidden_act":"gelu","hidden_activation":"gelu_pytorch_tanh","hidden_size":2048,"intermediate_size":16384,"num_hidden_layers":18,
				"num_attention_heads":8,"num_key_value_heads":1,"head_dim":256,"vocab_size":256000`,
			parameters: 2_506_172_416,
			tensors: map[string][]int{
				"model.layers.17.self_attn.k_proj.weight": {256, 2048}, "model.layers.0.self_attn.q_proj.bias": nil, "lm_head.weight": nil,
			},
		}},
	}
	f.run(t)
}

func TestGemma2(t *testing.T) {
	f := familyTest{
		modelType: "gemma2", sizes: []int{2304, 26, 8, 4, 256, 256000, 8192}, eos: []int32{1}, bos: 2, pad: 0, tied: true,
		refusals: []refusal{
			{`"query_pre_attn_scalar":0`, "query_pre_attn_scalar 0 is not supported for gemma2; it must be positive"},
			{`"attn_logit_softcapping":-1`, "attn_logit_softcapping -1 is not supported for gemma2; it must be positive or null"},
			{`"use_bidirectional_attention":true`, "use_bidirectional_attention true is not supported for gemma2; leave it out"},
			{`"layer_types":["full_attention"]`, "layer_types names 1 layers of 26"},
		},
		published: []publishedModel{{
			name: "gemma-2-27b",
			json: `"hidden_size":4608,"intermediate_size":36864,"num_hidden_layers":46,"num_attention_heads":32,"num_key_value_heads":16,"head_dim":128,
				"query_pre_attn_scalar":144,"vocab_size":256000`,
			parameters: 27_227_128_320,
			tensors: map[string][]int{
				"model.layers.45.self_attn.o_proj.weight": {4608, 4096}, "model.layers.0.post_feedforward_layernorm.weight": {4608},
			},
		}},
	}
	f.run(t)
}

func TestGemma3(t *testing.T) {
	f := familyTest{
		modelType: "gemma3_text", sizes: []int{2304, 26, 8, 4, 256, 262208, 131072}, eos: []int32{1}, bos: 2, pad: 0, tied: true,
		refusals: []refusal{
			{`"use_bidirectional_attention":true`, "use_bidirectional_attention true is not supported for gemma3_text; leave it out"},
			{`"sliding_window_pattern":0`, "sliding_window_pattern is 0; it must be from 1 to 4096"},
			{`"rope_parameters":{"full_attention":{"rope_type":"dynamic"}}`, `rope_type "dynamic" is not supported; use default, linear, llama3, yarn or longrope`},
		},
	}
	f.run(t)
}

// TestGemmaFormula checks the differences of the Gemmas from Llama and each other.
func TestGemmaFormula(t *testing.T) {
	parse := func(json string) (*nn.Config, *nn.Transformer) {
		c, err := ParseConfig([]byte(json))
		require.NoError(t, err)
		return c, c.Compose()
	}
	_, one := parse(`{"model_type":"gemma","hidden_act":"gelu"}`)
	require.Equal(t, float32(math.Sqrt(3072)), one.Embedding.Scale)
	require.True(t, one.Embedding.Rounded)
	require.Equal(t, float32(1), one.Head.Norm.Offset)
	require.Equal(t, bindings.GELUTanh, one.Layers[0].Branches[1].Part.(*nn.MLP).Activation)

	two, second := parse(`{"model_type":"gemma2","num_hidden_layers":3,"query_pre_attn_scalar":144,"attention_dropout":0.25}`)
	require.Equal(t, []int{4096, 0, 4096}, windowsOf(two))
	require.Equal(t, []float32{50, 30, float32(1.0 / 12), 0.25}, []float32{firstAttention(two).Cap, second.Head.Cap, firstAttention(two).Scale, firstAttention(two).Dropout})
	_, open := parse(`{"model_type":"gemma2","final_logit_softcapping":null}`)
	require.Zero(t, open.Head.Cap)

	three, third := parse(`{"model_type":"gemma3_text","num_hidden_layers":7,"rope_local_base_freq":5000,"rope_theta":2e6,
		"rope_scaling":{"rope_type":"linear","factor":8},"attn_logit_softcapping":50}`)
	require.Equal(t, []int{4096, 4096, 4096, 4096, 4096, 0, 4096}, windowsOf(three))
	all := attentions(three)
	require.Equal(t, nn.Rope{Type: "linear", Theta: 2e6, Factor: 8}, scaling(all[5].Positions.Rope))
	require.Equal(t, nn.Rope{Type: "default", Theta: 5000}, scaling(all[6].Positions.Rope))
	require.Zero(t, all[0].Cap, "Gemma 3 does not read attn_logit_softcapping")
	require.Zero(t, third.Head.Cap)
	require.Equal(t, float32(1), all[0].KNorm.Offset)
}

// scaling returns r with only the fields that its type reads.
func scaling(r nn.Rope) nn.Rope { return nn.Rope{Type: r.Type, Theta: r.Theta, Factor: r.Factor} }
