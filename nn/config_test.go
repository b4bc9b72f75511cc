package nn

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConfigDefaults(t *testing.T) {
	window := func(layers, size, from int) []int {
		w := make([]int, layers)
		for i := from; i < layers; i++ {
			w[i] = size
		}
		return w
	}
	for _, c := range []struct {
		name, json string
		check      func(t *testing.T, c *Config)
	}{
		{"llama", `{"model_type":"llama"}`, func(t *testing.T, c *Config) {
			require.Equal(t, []int{4096, 11008, 32, 32, 32, 128, 32000, 2048}, []int{c.Hidden, c.Intermediate, c.Layers, c.Heads, c.KVHeads, c.HeadDim, c.Vocabulary, c.MaxPositions})
			require.Equal(t, []int32{2}, c.EOS)
			require.EqualValues(t, 1, c.BOS)
			require.EqualValues(t, -1, c.Pad)
			require.Equal(t, window(32, 0, 0), c.Windows)
			require.False(t, c.QKVBias || c.OutputBias || c.MLPBias || c.QKNorm || c.Tied)
		}},
		{"llama biases", `{"model_type":"llama","attention_bias":true,"mlp_bias":true,"num_key_value_heads":8,"head_dim":64}`, func(t *testing.T, c *Config) {
			require.True(t, c.QKVBias && c.OutputBias && c.MLPBias)
			require.Equal(t, []int{8, 64}, []int{c.KVHeads, c.HeadDim})
		}},
		{"mistral windows by default", `{"model_type":"mistral"}`, func(t *testing.T, c *Config) {
			require.Equal(t, window(32, 4096, 0), c.Windows)
			require.Equal(t, 8, c.KVHeads)
		}},
		{"mistral without window", `{"model_type":"mistral","sliding_window":null}`, func(t *testing.T, c *Config) {
			require.Equal(t, window(32, 0, 0), c.Windows)
		}},
		{"qwen2", `{"model_type":"qwen2","num_hidden_layers":4}`, func(t *testing.T, c *Config) {
			require.True(t, c.QKVBias)
			require.False(t, c.OutputBias)
			require.Equal(t, window(4, 0, 0), c.Windows)
			require.Empty(t, c.EOS)
		}},
		{"qwen2 windows from a layer on", `{"model_type":"qwen2","num_hidden_layers":4,"use_sliding_window":true,"sliding_window":64,"max_window_layers":3}`, func(t *testing.T, c *Config) {
			require.Equal(t, window(4, 64, 3), c.Windows)
		}},
		{"qwen2 layer types", `{"model_type":"qwen2","num_hidden_layers":2,"use_sliding_window":true,"sliding_window":64,"layer_types":["sliding_attention","full_attention"]}`, func(t *testing.T, c *Config) {
			require.Equal(t, []int{64, 0}, c.Windows)
		}},
		{"qwen3", `{"model_type":"qwen3","hidden_size":1024,"num_attention_heads":16,"num_key_value_heads":8,"eos_token_id":[7,8],"bos_token_id":null}`, func(t *testing.T, c *Config) {
			require.True(t, c.QKNorm)
			require.Equal(t, 128, c.HeadDim)
			require.Equal(t, []int32{7, 8}, c.EOS)
			require.EqualValues(t, -1, c.BOS)
		}},
		{"types", `{"model_type":"llama","torch_dtype":"bfloat16"}`, func(t *testing.T, c *Config) { require.Equal(t, "BF16", c.DType) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseConfig([]byte(c.json))
			require.NoError(t, err)
			c.check(t, got)
		})
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct{ name, json, want string }{
		{"not JSON", `{`, "not a readable config.json"},
		{"unknown family", `{"model_type":"mamba"}`, `model_type "mamba" is not supported`},
		{"activation", `{"model_type":"llama","hidden_act":"gelu"}`, `hidden_act "gelu"`},
		{"heads", `{"model_type":"llama","num_attention_heads":6,"num_key_value_heads":4}`, "not a multiple"},
		{"no heads", `{"model_type":"llama","num_attention_heads":0}`, "num_attention_heads is 0"},
		{"huge", `{"model_type":"llama","num_hidden_layers":1000000000}`, "num_hidden_layers is 1000000000"},
		{"odd head", `{"model_type":"llama","head_dim":63}`, "head_dim 63 is odd"},
		{"rope", `{"model_type":"llama","rope_scaling":{"type":"dynamic","factor":2}}`, `rope_type "dynamic"`},
		{"rope factor", `{"model_type":"llama","rope_scaling":{"type":"linear"}}`, "needs a positive factor"},
		{"layer types", `{"model_type":"qwen2","num_hidden_layers":3,"layer_types":["full_attention"]}`, "names 1 layers of 3"},
		{"dtype", `{"model_type":"llama","dtype":"float8"}`, `dtype "float8"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(c.json))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// FuzzConfig: any text gives a config of bounded size or an error.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"llama","num_hidden_layers":2,"rope_scaling":{"type":"yarn","factor":2}}`))
	f.Add([]byte(`{"model_type":"qwen3","layer_types":["full_attention"],"eos_token_id":[1]}`))
	f.Add([]byte(`{"model_type":"mistral","sliding_window":-3,"quantization_config":{"load_in_4bit":true}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		if len(c.Windows) != c.Layers || slices.Min(c.Windows) < 0 {
			t.Errorf("windows %v of %d layers", c.Windows, c.Layers)
		}
		c.Rope.inverseFrequencies(c.HeadDim)
	})
}
