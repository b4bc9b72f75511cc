package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSmolLM3(t *testing.T) {
	f := familyTest{
		modelType: "smollm3", sizes: []int{2048, 36, 16, 4, 128, 128256, 32768}, eos: []int32{128001}, bos: 128000, pad: 128004, tied: true,
		refusals: []refusal{
			{`"no_rope_layers":[1,1]`, "no_rope_layers names 2 layers of 36"},
			{`"no_rope_layer_interval":0`, "no_rope_layer_interval is 0; it must be from 1 to 4096"},
		},
		published: []publishedModel{{
			name:       "SmolLM3-3B",
			json:       `"max_position_embeddings":65536,"rope_theta":5000000.0,"mlp_bias":false,"use_sliding_window":false,"sliding_window":null`,
			parameters: 3_075_098_624,
			tensors:    map[string][]int{"model.layers.35.self_attn.k_proj.weight": {512, 2048}, "model.layers.35.self_attn.k_proj.bias": nil, "lm_head.weight": nil},
		}},
	}
	f.run(t)
}

// TestSmolLM3Layers checks which layers use RoPE, and which a window.
func TestSmolLM3Layers(t *testing.T) {
	for _, c := range []struct {
		name, keys string
		rotary     []bool
		windows    []int
	}{
		{"every fourth", "", []bool{true, true, true, false, true}, []int{0, 0, 0, 0, 0}},
		{"another interval", `,"no_rope_layer_interval":2`, []bool{true, false, true, false, true}, []int{0, 0, 0, 0, 0}},
		{"named", `,"no_rope_layers":[0,0,1,1,0]`, []bool{false, false, true, true, false}, []int{0, 0, 0, 0, 0}},
		{"windows without rope", `,"no_rope_layers":[0,0,1,1,0],"use_sliding_window":true,"sliding_window":7`, []bool{false, false, true, true, false}, []int{7, 7, 0, 0, 7}},
		{"a window that is not used", `,"sliding_window":7`, []bool{true, true, true, false, true}, []int{0, 0, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := ParseConfig([]byte(`{"model_type":"smollm3","num_hidden_layers":5` + c.keys + `}`))
			require.NoError(t, err)
			require.Equal(t, c.windows, windowsOf(config))
			for i, a := range attentions(config) {
				require.Equal(t, c.rotary[i], a.Positions != nil, "layer %d", i)
			}
		})
	}
}
