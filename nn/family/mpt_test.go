package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMPT(t *testing.T) {
	f := familyTest{
		modelType: "mpt", sizes: []int{2048, 24, 16, 16, 128, 50368, 2048}, bos: -1, pad: -1, tied: true,
		refusals: []refusal{
			{`"no_bias":false`, "no_bias false is not supported for mpt; it is true"},
			{`"expansion_ratio":2`, "expansion_ratio 2 is not supported for mpt; it is 4"},
			{`"embedding_fraction":0.5`, "embedding_fraction 0.5 is not supported for mpt; it is 1"},
			{`"norm_type":"rmsnorm"`, `norm_type "rmsnorm" is not supported for mpt; layernorm and low_precision_layernorm are`},
			{`"logit_scale":"inv_sqrt_d_model"`, `logit_scale "inv_sqrt_d_model" is not supported for mpt; leave it out`},
			{`"emb_pdrop":0.1`, "emb_pdrop 0.1 is not supported for mpt; leave it out"},
			{`"d_model":100`, "d_model 100 is not a multiple of n_heads 16"},
			{`"attn_config":{"qk_ln":true}`, "attn_config: qk_ln true is not supported for mpt; leave it out"},
			{`"attn_config":{"prefix_lm":true}`, "attn_config: prefix_lm true is not supported for mpt; leave it out"},
			{`"attn_config":{"attn_type":"multiquery_attention"}`, `attn_config: attn_type "multiquery_attention" is not supported for mpt; multihead_attention is`},
			{`"attn_config":{"alibi":false}`, "attn_config: alibi false is not supported for mpt; it is true"},
			{`"attn_config":{"alibi_bias_max":16}`, "attn_config: alibi_bias_max 16 is not supported for mpt; transformers computes with 8"},
			{`"attn_config":{"clip_qkv":-1}`, "attn_config: clip_qkv -1 is not supported for mpt; it must be positive"},
			{`"attn_config":{"softmax_scale":0}`, "attn_config: softmax_scale 0 is not supported for mpt; it must not be 0"},
			{`"attn_config":3`, "attn_config 3 has the wrong type; it must be an object"},
		},
		published: []publishedModel{{
			name: "mpt-7b", json: `"d_model":4096,"n_heads":32,"n_layers":32,"vocab_size":50432,"attn_config":{"model_type":"","attn_impl":"torch","clip_qkv":null}`,
			parameters: 6_649_286_656,
			tensors: map[string][]int{
				"transformer.blocks.31.attn.Wqkv.weight": {12288, 4096}, "transformer.blocks.0.ffn.up_proj.weight": {16384, 4096},
				"transformer.blocks.0.norm_1.bias": nil, "transformer.wpe.weight": nil, "transformer.norm_f.weight": {4096}, "lm_head.weight": nil,
			},
		}, {
			name: "mpt-30b", json: `"d_model":7168,"n_heads":64,"n_layers":48,"vocab_size":50432,"max_seq_len":8192`, parameters: 29_957_200_896,
		}},
	}
	f.run(t)
}

func TestMPTAttention(t *testing.T) {
	for json, want := range map[string][]float32{
		``: {0.125, 0, 0, 0, 0},
		`,"attn_config":{"softmax_scale":0.5,"clip_qkv":6,"attn_pdrop":0.25}`: {0.5, 6, 0.25, 0.25, 0.25},
	} {
		c := parsed(t, `{"model_type":"mpt","d_model":1024`+json+`}`)
		a, branches := firstAttention(c), c.Compose().Layers[0].Branches
		require.Equal(t, want, []float32{a.Scale, a.Clip, a.Dropout, branches[0].Dropout, branches[1].Dropout}, json)
	}
}

// The values are from transformers' build_mpt_alibi_tensor.
func TestMPTSlopes(t *testing.T) {
	bias := firstAttention(parsed(t, `{"model_type":"mpt","d_model":48,"n_heads":6}`)).KeyBias
	for head, slope := range []float32{0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125} {
		require.Equal(t, 3*slope, bias.At(head, 3))
	}
}
