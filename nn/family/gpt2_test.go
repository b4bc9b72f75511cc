package family

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nn"
)

func TestGPT2(t *testing.T) {
	c := parsed(t, `{"model_type":"gpt2"}`)
	require.Equal(t, []int{768, 12, 50257, 1024}, []int{c.Hidden, c.Layers, c.Vocabulary, c.MaxPositions})
	require.True(t, c.Tied)
	require.Equal(t, []int32{50256}, c.EOS)
	tensors := shapes(t, c)
	require.Equal(t, []int{1024, 768}, tensors["transformer.wpe.weight"])
	require.Equal(t, []int{768, 2304}, tensors["transformer.h.0.attn.c_attn.weight"])
	require.Equal(t, []int{768, 3072}, tensors["transformer.h.11.mlp.c_fc.weight"])
	require.Equal(t, []int{3072, 768}, tensors["transformer.h.11.mlp.c_proj.weight"])

	made := c.Compose()
	l := made.Layers[0]
	require.Equal(t, []float32{0.1, 0.1, 0.1, 0.1}, []float32{made.Embedding.Dropout, l.Branches[0].Dropout, l.Branches[1].Dropout, l.Branches[0].Part.(*nn.Attention).Dropout})
	require.Equal(t, bindings.GELUTanh, l.Branches[1].Part.(*nn.MLP).Activation)
}

func TestGPT2Sizes(t *testing.T) {
	// GPT-3's shapes are table 2.1 of Brown et al. 2020, with 16 heads at 1.3B and 5120
	// features at 13B: the table's 24 and 5140 do not divide into whole heads.
	for _, c := range []struct {
		name                            string
		hidden, layers, heads, contexts int
		parameters                      int
	}{
		{"gpt2", 768, 12, 12, 1024, 124_439_808},
		{"gpt2-medium", 1024, 24, 16, 1024, 354_823_168},
		{"gpt2-large", 1280, 36, 20, 1024, 774_030_080},
		{"gpt2-xl", 1600, 48, 25, 1024, 1_557_611_200},
		{"GPT-3 125M", 768, 12, 12, 2048, 125_226_240},
		{"GPT-3 350M", 1024, 24, 16, 2048, 355_871_744},
		{"GPT-3 760M", 1536, 24, 16, 2048, 760_300_032},
		{"GPT-3 1.3B", 2048, 24, 16, 2048, 1_315_723_264},
		{"GPT-3 2.7B", 2560, 32, 32, 2048, 2_651_553_280},
		{"GPT-3 6.7B", 4096, 32, 32, 2048, 6_658_404_352},
		{"GPT-3 13B", 5120, 40, 40, 2048, 12_853_386_240},
		{"GPT-3 175B", 12288, 96, 96, 2048, 174_604_259_328},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := parsed(t, fmt.Sprintf(`{"model_type":"gpt2","n_embd":%d,"n_layer":%d,"n_head":%d,"n_positions":%d}`, c.hidden, c.layers, c.heads, c.contexts))
			require.Equal(t, c.parameters, parameters(t, config))
		})
	}
}

// configs/gpt3-175b.json is the shape of GPT-3.
func TestGPT3File(t *testing.T) {
	c, err := ReadConfig("../../configs/gpt3-175b.json")
	require.NoError(t, err)
	require.Equal(t, 174_604_259_328, parameters(t, c))
	require.Equal(t, 2048, c.Compose().Embedding.Positions.Longest())
	require.Equal(t, "BF16", c.DType)
}

func TestGPT2Scales(t *testing.T) {
	scales := func(text string) []float32 {
		var all []float32
		for _, a := range attentions(parsed(t, `{"model_type":"gpt2","n_embd":64,"n_head":4,"n_layer":3`+text)) {
			all = append(all, a.Scale)
		}
		return all
	}
	require.Equal(t, []float32{0.25, 0.25, 0.25}, scales(`}`))
	require.Equal(t, []float32{1, 1, 1}, scales(`,"scale_attn_weights":false}`))
	require.Equal(t, []float32{0.25, 0.125, 0.25 / 3}, scales(`,"scale_attn_by_inverse_layer_idx":true}`))
}

func TestGPT2Refusals(t *testing.T) {
	refusals(t, map[string]string{
		`{"model_type":"gpt2","add_cross_attention":true}`:          "add_cross_attention true is not supported for gpt2; leave it out",
		`{"model_type":"gpt2","n_head":7}`:                          "n_embd 768 is not a multiple of n_head 7",
		`{"model_type":"gpt2","n_positions":0}`:                     "n_positions is 0",
		`{"model_type":"gpt2","activation_function":"tanh"}`:        `activation_function "tanh" is not supported for gpt2`,
		`{"model_type":"gpt2","resid_pdrop":-0.1}`:                  "resid_pdrop is -0.1",
		`{"model_type":"gpt_bigcode","add_cross_attention":true}`:   "add_cross_attention true is not supported for gpt_bigcode",
		`{"model_type":"gpt_bigcode","n_embd":100,"n_head":8}`:      "n_embd 100 is not a multiple of n_head 8",
		`{"model_type":"gptj","rotary_dim":null}`:                   "rotary_dim null is not supported for gptj; set the number of rotated dimensions of a head",
		`{"model_type":"gptj","rotary_dim":63}`:                     "rotary_dim is 63; it must be even, and from 2 to a head's 256 dimensions",
		`{"model_type":"gptj","n_embd":64,"n_head":4}`:              "rotary_dim is 64; it must be even, and from 2 to a head's 16 dimensions",
		`{"model_type":"gptj","activation_function":"quick_gelu"}`:  `activation_function "quick_gelu" is not supported for gptj`,
		`{"model_type":"gpt_neox","hidden_size":100}`:               "hidden_size 100 is not a multiple of num_attention_heads 64",
		`{"model_type":"gpt_neox","rotary_pct":2}`:                  "partial_rotary_factor is 2",
		`{"model_type":"bloom","n_embed":100}`:                      "hidden_size 100 is not a multiple of n_head 8",
		`{"model_type":"bloom","hidden_dropout":2}`:                 "hidden_dropout is 2",
		`{"model_type":"gpt_neox","rope_scaling":{"type":"ntk"}}`:   `rope_type "ntk"`,
		`{"model_type":"gpt_bigcode","scale_attn_weights":"maybe"}`: `scale_attn_weights "maybe" has the wrong type`,
	})
}
