package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGPTNeo(t *testing.T) {
	f := familyTest{
		modelType: "gpt_neo", sizes: []int{2048, 24, 16, 16, 128, 50257, 2048}, eos: []int32{50256}, bos: 50256, pad: -1, tied: true,
		refusals: []refusal{
			{`"num_layers":3`, "attention_types does not make up num_layers 3"},
			{`"num_layers":1,"attention_types":[[["global","local"],1000000000]]`, "attention_types does not make up num_layers 1"},
			{`"num_layers":1,"attention_types":[[["sparse"],1]]`, `attention_types has "sparse", which is not supported; global and local are`},
			{`"num_layers":1,"attention_types":[["global",1]]`, `attention_types [["global",1]] has the wrong type; it must be a list`},
			{`"window_size":0`, "window_size is 0; it must be from 1 to 1073741824"},
			{`"num_heads":7`, "hidden_size 2048 is not a multiple of num_heads 7"},
			{`"embed_dropout":1`, "embed_dropout is 1; it must be at least 0 and below 1"},
		},
		published: []publishedModel{{
			name: "gpt-neo-1.3B", json: `"attention_types":[[["global","local"],12]],"intermediate_size":null`, parameters: 1_315_575_808,
			tensors: map[string][]int{
				"transformer.wpe.weight": {2048, 2048}, "transformer.h.23.mlp.c_fc.weight": {8192, 2048},
				"transformer.h.0.attn.attention.q_proj.bias": nil, "transformer.h.0.attn.attention.out_proj.bias": {2048}, "lm_head.weight": nil,
			},
		}, {
			name: "gpt-neo-2.7B", json: `"hidden_size":2560,"num_layers":32,"num_heads":20,"attention_types":[[["global","local"],16]]`, parameters: 2_651_307_520,
		}},
	}
	f.run(t)
}

func TestGPTNeoWindows(t *testing.T) {
	for json, want := range map[string][]int{
		`"attention_types":[[["global","local"],1],[["local"],2]]`:                                {0, 256, 256, 256},
		`"attention_types":[[["global"],4]],"window_size":3`:                                      {0, 0, 0, 0},
		`"attention_layers":["local","global","global","local"],"window_size":3`:                  {3, 0, 0, 3},
		`"attention_layers":["local","local","local","local"],"attention_types":[[["global"],4]]`: {256, 256, 256, 256},
	} {
		c := parsed(t, `{"model_type":"gpt_neo","num_layers":4,`+json+`}`)
		require.Equal(t, want, windowsOf(c), json)
		require.EqualValues(t, 1, firstAttention(c).Scale)
	}
}
