package family

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// parsed returns the config of a valid config.json.
func parsed(t *testing.T, text string) *nn.Config {
	t.Helper()
	c, err := ParseConfig([]byte(text))
	require.NoError(t, err)
	return c
}

// refusals checks the error of reading each config.json.
func refusals(t *testing.T, want map[string]string) {
	t.Helper()
	for text, want := range want {
		_, err := ParseConfig([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestFalcon(t *testing.T) {
	for _, c := range []struct {
		name, json string
		parameters int
		heads      []int // heads, key heads, dimensions
		layout     nn.Layout
		norms      []string // of a layer
	}{
		{"defaults are 7B's but for its key head", `{"model_type":"falcon"}`, 6_921_720_704, []int{71, 1, 64}, nn.Blocks, []string{"input_layernorm"}},
		{
			"7B of 2023", `{"model_type":"RefinedWebModel","hidden_size":4544,"n_head":71,"n_layer":32,"vocab_size":65024,"multi_query":true,"parallel_attn":true}`,
			6_921_720_704,
			[]int{71, 1, 64},
			nn.Blocks,
			[]string{"input_layernorm"},
		},
		{
			"40B", `{"model_type":"falcon","hidden_size":8192,"num_attention_heads":128,"num_kv_heads":8,"num_hidden_layers":60,"new_decoder_architecture":true}`,
			41_303_293_952,
			[]int{128, 8, 64},
			nn.PerGroup,
			[]string{"ln_attn", "ln_mlp"},
		},
		{
			"40B of 2023", `{"model_type":"RefinedWeb","hidden_size":8192,"n_head":128,"n_head_kv":8,"n_layer":60,"vocab_size":65024,"parallel_attn":true}`,
			41_303_293_952,
			[]int{128, 8, 64},
			nn.PerGroup,
			[]string{"ln_attn", "ln_mlp"},
		},
		{
			"180B", `{"model_type":"falcon","hidden_size":14848,"num_attention_heads":232,"num_kv_heads":8,"num_hidden_layers":80,"new_decoder_architecture":true}`,
			178_557_088_768,
			[]int{232, 8, 64},
			nn.PerGroup,
			[]string{"ln_attn", "ln_mlp"},
		},
		{
			"11B", `{"model_type":"falcon","hidden_size":4096,"num_attention_heads":32,"num_kv_heads":8,"num_hidden_layers":60,"ffn_hidden_size":16384,
			"new_decoder_architecture":true,"num_ln_in_parallel_attn":1,"rope_theta":500042.0,"tie_word_embeddings":false}`,
			11_102_822_400,
			[]int{32, 8, 128},
			nn.PerGroup,
			[]string{"input_layernorm"},
		},
		{"RW 1B", `{"model_type":"falcon","hidden_size":2048,"num_attention_heads":32,"num_hidden_layers":24,"vocab_size":50304,"alibi":true,"bias":true,
			"multi_query":false,"parallel_attn":false}`, 1_311_625_216, []int{32, 32, 64}, nn.PerGroup, []string{"input_layernorm", "post_attention_layernorm"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := parsed(t, c.json)
			require.Equal(t, c.parameters, parameters(t, config))
			a := firstAttention(config)
			require.Equal(t, c.heads, []int{a.Heads, a.KVHeads, a.HeadDim})
			require.Equal(t, c.layout, a.Layout)
			tensors := shapes(t, config)
			for _, norm := range []string{"input_layernorm", "post_attention_layernorm", "ln_attn", "ln_mlp"} {
				_, ok := tensors["transformer.h.0."+norm+".bias"]
				require.Equal(t, slices.Contains(c.norms, norm), ok, norm)
			}
		})
	}
}

func TestFalconDropouts(t *testing.T) {
	const set = `{"model_type":"falcon","num_hidden_layers":1,"hidden_size":64,"num_attention_heads":4,"hidden_dropout":0.2,"attention_dropout":0.3`
	dropouts := func(text string) []float32 {
		l := parsed(t, set+text).Compose().Layers[0]
		require.Equal(t, l.Parallel, l.SumDrops)
		return []float32{l.Branches[0].Part.(*nn.Attention).Dropout, l.Branches[0].Dropout, l.Branches[1].Dropout}
	}
	require.Equal(t, []float32{0, 0.2, 0.2}, dropouts(`}`))
	require.Equal(t, []float32{0.3, 0.3, 0.2}, dropouts(`,"alibi":true,"parallel_attn":false}`))
}

func TestFalconRefusals(t *testing.T) {
	refusals(t, map[string]string{
		`{"model_type":"falcon","new_decoder_architecture":true,"parallel_attn":false}`:                           "parallel_attn false is not supported for falcon; new_decoder_architecture is always parallel; leave it out",
		`{"model_type":"falcon","num_attention_heads":70}`:                                                        "hidden_size 4544 is not a multiple of num_attention_heads 70",
		`{"model_type":"falcon","new_decoder_architecture":true,"num_kv_heads":7}`:                                "num_attention_heads 71 is not a multiple of num_kv_heads 7",
		`{"model_type":"falcon","multi_query":false,"num_kv_heads":1}`:                                            "num_kv_heads 1 is not supported for falcon; without new_decoder_architecture and multi_query it must be num_attention_heads",
		`{"model_type":"falcon","num_ln_in_parallel_attn":2}`:                                                     "num_ln_in_parallel_attn 2 is not supported for falcon; without new_decoder_architecture it must be 1",
		`{"model_type":"falcon","new_decoder_architecture":true,"num_kv_heads":71,"num_ln_in_parallel_attn":3}`:   "num_ln_in_parallel_attn 3 is not supported for falcon; use 1 or 2",
		`{"model_type":"RefinedWebModel","multi_query":true,"apply_residual_connection_post_layernorm":true}`:     "apply_residual_connection_post_layernorm true is not supported for RefinedWebModel; leave it out",
		`{"model_type":"falcon","rope_parameters":{"rope_type":"linear","factor":2,"partial_rotary_factor":0.5}}`: "partial_rotary_factor 0.5 is not supported for falcon; it must be 1",
		`{"model_type":"falcon","head_dim":32}`:                                                                   "head_dim 32 is not supported for falcon; it is hidden_size/num_attention_heads, 64",
		`{"model_type":"falcon","hidden_dropout":1}`:                                                              "hidden_dropout is 1; it must be at least 0 and below 1",
	})
}
