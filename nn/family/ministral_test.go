package family

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMinistral(t *testing.T) {
	f := familyTest{
		modelType: "ministral", sizes: []int{4096, 32, 32, 8, 128, 32000, 131072}, eos: []int32{2}, bos: 1, pad: -1,
		refusals: []refusal{{`"sliding_window":-1`, "sliding_window is -1; it must be positive or null"}},
		published: []publishedModel{{
			name:       "Ministral-8B",
			json:       `"intermediate_size":12288,"num_hidden_layers":36,"head_dim":128,"vocab_size":131072,"sliding_window":32768,"rope_theta":100000000.0`,
			parameters: 8_019_808_256,
		}},
	}
	f.run(t)
	c, err := ParseConfig([]byte(`{"model_type":"ministral","num_hidden_layers":3,"layer_types":["full_attention","sliding_attention","full_attention"]}`))
	require.NoError(t, err)
	require.Equal(t, []int{0, 4096, 0}, windowsOf(c))
}

func TestMinistral3(t *testing.T) {
	f := familyTest{
		modelType: "ministral3", sizes: []int{4096, 34, 32, 8, 128, 131072, 262144}, eos: []int32{2}, bos: 1, pad: 11,
		refusals: []refusal{{
			`"head_dim":64,"rope_parameters":{"rope_type":"default","partial_rotary_factor":0.5,"llama_4_scaling_beta":0.1}`,
			"partial_rotary_factor 0.5 is not supported for ministral3; it must be 1",
		}},
	}
	f.run(t)
	c, err := ParseConfig([]byte(`{"model_type":"ministral3","num_hidden_layers":2}`))
	require.NoError(t, err)
	require.Equal(t, []int{0, 0}, windowsOf(c))
	p := firstAttention(c).Positions
	require.Equal(t, []any{"yarn", 1e6, 16.0, 16384, 0.0}, []any{p.Rope.Type, p.Rope.Theta, p.Rope.Factor, p.Rope.OriginalMax, p.Rope.Growth})
	require.Equal(t, 0.1, p.Queries.Rope.Growth)
	plain, err := ParseConfig([]byte(`{"model_type":"ministral3","rope_parameters":{"rope_type":"default","rope_theta":1e6}}`))
	require.NoError(t, err)
	require.Nil(t, firstAttention(plain).Positions.Queries)
}
