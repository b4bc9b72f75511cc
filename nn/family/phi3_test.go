package family

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPhi3(t *testing.T) {
	f := familyTest{
		modelType: "phi3", sizes: []int{3072, 32, 32, 32, 96, 32064, 4096}, eos: []int32{32000}, bos: 1, pad: 32000,
		refusals: []refusal{
			{`"rope_scaling":{"type":"linear","factor":2}`, `rope_type "linear" is not supported for phi3; use default or longrope`},
			{`"rope_scaling":{"type":"longrope","short_factor":[1],"long_factor":[1]}`, "rope_scaling has 1 short and 1 long factors; 96 rotated dimensions need 48 of each"},
			{`"attention_bias":true`, "attention_bias true is not supported for phi3; leave it out"},
			{`"sliding_window":-1`, "sliding_window is -1; it must be positive or null"},
		},
		published: []publishedModel{{
			name:       "Phi-3-mini-4k-instruct",
			json:       `"sliding_window":2047,"original_max_position_embeddings":4096,"rope_scaling":null,"attention_bias":false,"tie_word_embeddings":false`,
			parameters: 3_821_079_552,
			tensors: map[string][]int{
				"model.layers.31.self_attn.qkv_proj.weight": {9216, 3072}, "model.layers.31.mlp.gate_up_proj.weight": {16384, 3072},
				"model.layers.0.self_attn.qkv_proj.bias": nil, "model.layers.0.self_attn.q_proj.weight": nil, "lm_head.weight": {32064, 3072},
			},
		}, {
			name: "phi-4",
			json: `"hidden_size":5120,"intermediate_size":17920,"num_hidden_layers":40,"num_attention_heads":40,"num_key_value_heads":10,"vocab_size":100352,
				"max_position_embeddings":16384,"original_max_position_embeddings":16384,"rope_theta":250000,"rope_scaling":null,"sliding_window":null`,
			parameters: 14_659_507_200,
			tensors: map[string][]int{
				"model.layers.39.self_attn.qkv_proj.weight": {7680, 5120}, "model.layers.39.self_attn.o_proj.weight": {5120, 5120},
			},
		}},
	}
	f.run(t)
}

// TestPhi3LongRope checks the two tables, their switch and the factor on cos and sin.
func TestPhi3LongRope(t *testing.T) {
	factors := func(f string, n int) string { return strings.TrimSuffix(strings.Repeat(f+",", n), ",") }
	for _, c := range []struct {
		name, keys string
		dims, at   int
		attention  float64
	}{
		{"su, the top's original length before the other", `"max_position_embeddings":131072,"original_max_position_embeddings":4096,
			"rope_scaling":{"type":"su","original_max_position_embeddings":77,"short_factor":[%s],"long_factor":[%s]}`, 96, 4096, 1.1902380714238083},
		{"the class's original length", `"max_position_embeddings":131072,
			"rope_parameters":{"rope_type":"longrope","rope_theta":10000,"original_max_position_embeddings":77,"short_factor":[%s],"long_factor":[%s]}`, 96, 4096, 1.1902380714238083},
		{"yarn means it, three quarters, a factor of attention", `"partial_rotary_factor":0.75,
			"rope_scaling":{"type":"yarn","attention_factor":1.5,"short_factor":[%s],"long_factor":[%s]}`, 72, 4096, 1.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			config, err := ParseConfig(fmt.Appendf(nil, `{"model_type":"phi3",`+c.keys+`}`, factors("1.5", c.dims/2), factors("2.5", c.dims/2)))
			require.NoError(t, err)
			p := firstAttention(config).Positions
			require.Equal(t, []int{c.dims, c.at}, []int{p.Dims, p.Switch})
			require.Equal(t, []float64{1.5, 2.5}, []float64{p.Rope.Factors[0], p.Long.Rope.Factors[0]})
			require.InDelta(t, c.attention, p.Rope.AttentionFactor, 1e-12)
			require.Equal(t, p.Rope.AttentionFactor, p.Long.Rope.AttentionFactor)
		})
	}
}
