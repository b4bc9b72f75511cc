package family

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nn"
)

// shapes returns the shapes of the tensors that a config implies, by name.
func shapes(t *testing.T, c *nn.Config) map[string][]int {
	t.Helper()
	m, err := nn.New(c, nil, nn.Options{}, bindings.NewMemory(), bindings.Info{})
	require.NoError(t, err)
	all := map[string][]int{}
	for _, tensor := range m.Tensors() {
		all[tensor.Name] = tensor.Shape
	}
	return all
}

// parameters returns the number of parameters that a config implies.
func parameters(t *testing.T, c *nn.Config) int {
	t.Helper()
	sum := 0
	for _, shape := range shapes(t, c) {
		n := 1
		for _, size := range shape {
			n *= size
		}
		sum += n
	}
	return sum
}

func windowsOf(c *nn.Config) []int {
	var all []int
	for _, a := range attentions(c) {
		all = append(all, a.Window)
	}
	return all
}

func TestDefaults(t *testing.T) {
	window := func(layers, size, from int) []int {
		w := make([]int, layers)
		for i := from; i < layers; i++ {
			w[i] = size
		}
		return w
	}
	biased := func(t *testing.T, c *nn.Config) []string {
		var names []string
		for name := range shapes(t, c) {
			if rest, ok := strings.CutPrefix(name, "model.layers.0."); ok && strings.HasSuffix(rest, ".bias") {
				names = append(names, strings.TrimSuffix(rest, ".bias"))
			}
		}
		slices.Sort(names)
		return names
	}
	for _, c := range []struct {
		name, json string
		check      func(t *testing.T, c *nn.Config)
	}{
		{"llama", `{"model_type":"llama"}`, func(t *testing.T, c *nn.Config) {
			a := firstAttention(c)
			require.Equal(t, []int{4096, 32, 32, 32, 128, 32000, 2048}, []int{c.Hidden, c.Layers, a.Heads, a.KVHeads, a.HeadDim, c.Vocabulary, c.MaxPositions})
			require.Equal(t, []int32{2}, c.EOS)
			require.EqualValues(t, 1, c.BOS)
			require.EqualValues(t, -1, c.Pad)
			require.Equal(t, window(32, 0, 0), windowsOf(c))
			require.Empty(t, biased(t, c))
			require.False(t, c.Tied)
			require.Equal(t, 6_738_415_616, parameters(t, c)) // Llama-2-7B
		}},
		{"llama biases", `{"model_type":"llama","attention_bias":true,"mlp_bias":true,"num_key_value_heads":8,"head_dim":64}`, func(t *testing.T, c *nn.Config) {
			require.Equal(t, []string{
				"mlp.down_proj", "mlp.gate_proj", "mlp.up_proj", "self_attn.k_proj", "self_attn.o_proj", "self_attn.q_proj", "self_attn.v_proj",
			}, biased(t, c))
			require.Equal(t, []int{8, 64}, []int{firstAttention(c).KVHeads, firstAttention(c).HeadDim})
		}},
		{"mistral windows by default", `{"model_type":"mistral"}`, func(t *testing.T, c *nn.Config) {
			require.Equal(t, window(32, 4096, 0), windowsOf(c))
			require.Equal(t, 8, firstAttention(c).KVHeads)
		}},
		{"mistral without window", `{"model_type":"mistral","sliding_window":null}`, func(t *testing.T, c *nn.Config) {
			require.Equal(t, window(32, 0, 0), windowsOf(c))
		}},
		{"qwen2", `{"model_type":"qwen2","num_hidden_layers":4}`, func(t *testing.T, c *nn.Config) {
			require.Equal(t, []string{"self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj"}, biased(t, c))
			require.Equal(t, window(4, 0, 0), windowsOf(c))
			require.Empty(t, c.EOS)
		}},
		{"qwen2 windows from a layer on", `{"model_type":"qwen2","num_hidden_layers":4,"use_sliding_window":true,"sliding_window":64,"max_window_layers":3}`, func(t *testing.T, c *nn.Config) {
			require.Equal(t, window(4, 64, 3), windowsOf(c))
		}},
		{"qwen2 layer types", `{"model_type":"qwen2","num_hidden_layers":2,"use_sliding_window":true,"sliding_window":64,"layer_types":["sliding_attention","full_attention"]}`, func(t *testing.T, c *nn.Config) {
			require.Equal(t, []int{64, 0}, windowsOf(c))
		}},
		{"qwen3", `{"model_type":"qwen3","hidden_size":1024,"num_attention_heads":16,"num_key_value_heads":8,"eos_token_id":[7,8],"bos_token_id":null}`, func(t *testing.T, c *nn.Config) {
			require.Equal(t, []int{128}, shapes(t, c)["model.layers.0.self_attn.q_norm.weight"])
			require.Equal(t, 128, firstAttention(c).HeadDim)
			require.Equal(t, []int32{7, 8}, c.EOS)
			require.EqualValues(t, -1, c.BOS)
		}},
		{"types", `{"model_type":"llama","torch_dtype":"bfloat16"}`, func(t *testing.T, c *nn.Config) { require.Equal(t, "BF16", c.DType) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseConfig([]byte(c.json))
			require.NoError(t, err)
			c.check(t, got)
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ name, json, want string }{
		{"not JSON", `{`, "it is not a JSON object"},
		{"unknown family", `{"model_type":"mamba"}`, `model_type "mamba" is not supported`},
		{"activation", `{"model_type":"llama","hidden_act":"quick_gelu"}`, `hidden_act "quick_gelu"`},
		{"heads", `{"model_type":"llama","num_attention_heads":6,"num_key_value_heads":4}`, "not a multiple"},
		{"no heads", `{"model_type":"llama","num_attention_heads":0}`, "num_attention_heads is 0"},
		{"huge", `{"model_type":"llama","num_hidden_layers":1000000000}`, "num_hidden_layers is 1000000000"},
		{"a number that is a text", `{"model_type":"llama","hidden_size":"big"}`, `hidden_size "big"`},
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

// FuzzConfig checks that any text gives a config that can be composed, or an error.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"llama","num_hidden_layers":2,"rope_scaling":{"type":"yarn","factor":2}}`))
	f.Add([]byte(`{"model_type":"qwen3","layer_types":["full_attention"],"eos_token_id":[1]}`))
	f.Add([]byte(`{"model_type":"mistral","sliding_window":-3,"quantization_config":{"load_in_4bit":true}}`))
	for _, name := range Types() {
		f.Add([]byte(`{"model_type":"` + name + `","num_hidden_layers":1}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil || c.Layers > 64 {
			return
		}
		if n := len(c.Compose().Layers); n != c.Layers {
			t.Errorf("%d layers, want %d", n, c.Layers)
		}
		for _, a := range attentions(c) {
			if a.Window < 0 || a.Heads%a.KVHeads != 0 {
				t.Errorf("window %d, %d heads over %d", a.Window, a.Heads, a.KVHeads)
			}
		}
	})
}
