package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
)

// TestModules checks which tensors are trained next to adapters and which are saved,
// for models with a tied and with a separate head.
func TestModules(t *testing.T) {
	const embedding, head = "model.embed_tokens.weight", "lm_head.weight"
	qwen2Biases := []string{
		"model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.v_proj.bias",
		"model.layers.1.self_attn.q_proj.bias", "model.layers.1.self_attn.k_proj.bias", "model.layers.1.self_attn.v_proj.bias",
		"model.norm.weight",
	}
	for _, c := range []struct {
		config  string
		modules nn.Modules
		trained []string
		saved   []string
		tied    bool
	}{
		{config: "llama", tied: true},
		{"llama", nn.Modules{Names: []string{"lm_head"}}, []string{head}, []string{head}, false},
		{"llama", nn.Modules{Names: []string{"embed_tokens"}}, []string{embedding}, []string{embedding}, false},
		{"llama", nn.Modules{Names: []string{"lm_head", "embed_tokens"}}, []string{embedding, head}, []string{embedding, head}, false},
		{"llama", nn.Modules{Names: []string{"lm_head"}, Tie: true}, []string{embedding}, []string{embedding, head}, true},
		{"llama", nn.Modules{Names: []string{"embed_tokens", "model.embed_tokens"}, Tie: true}, []string{embedding}, []string{embedding, head}, true},
		{"llama", nn.Modules{Names: []string{"model.norm"}}, []string{"model.norm.weight"}, []string{"model.norm.weight"}, true},
		{"mistral", nn.Modules{Names: []string{"head"}}, []string{head}, []string{head}, false},
		{
			"mistral",
			nn.Modules{Names: []string{"1.input_layernorm"}, Tie: true},
			[]string{"model.layers.1.input_layernorm.weight"},
			[]string{"model.layers.1.input_layernorm.weight"},
			false,
		},
		{
			"qwen2",
			nn.Modules{Names: []string{"1.self_attn.k_proj"}},
			[]string{"model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.k_proj.bias"},
			[]string{"model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.k_proj.bias"},
			false,
		},
		{"qwen2", nn.Modules{Names: []string{"model.norm"}, Biases: nn.BiasesAll}, qwen2Biases, qwen2Biases, false},
		{config: "qwen2", modules: nn.Modules{Biases: nn.BiasesAdapted}}, // there is no adapter
		{
			"llama untied, biases",
			nn.Modules{Names: []string{"layers.0.mlp"}},
			[]string{
				"model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.gate_proj.bias", "model.layers.0.mlp.up_proj.weight",
				"model.layers.0.mlp.up_proj.bias", "model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.down_proj.bias",
			},
			[]string{
				"model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.gate_proj.bias", "model.layers.0.mlp.up_proj.weight",
				"model.layers.0.mlp.up_proj.bias", "model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.down_proj.bias",
			},
			false,
		},
	} {
		cfg, err := family.ParseConfig([]byte(tinyConfigs[c.config]))
		require.NoError(t, err)
		m, err := nn.New(cfg, nil, nn.Options{Modules: c.modules}, bindings.NewMemory(), bindings.Info{Activation: bindings.BF16})
		require.NoError(t, err)
		var trained, saved []string
		for _, p := range m.Parameters(bindings.OptimizerState{Rule: bindings.AdamW{}}) {
			trained = append(trained, p.Name)
			require.Equal(t, bindings.F32, p.Master.DType)
		}
		for _, s := range m.Saved() {
			saved = append(saved, s.Name)
		}
		require.Equal(t, c.trained, trained, "%s %+v", c.config, c.modules)
		require.Equal(t, c.saved, saved, "%s %+v", c.config, c.modules)
		require.Equal(t, c.tied, m.Tied(), "%s %+v", c.config, c.modules)
	}
}

func TestModulesRefused(t *testing.T) {
	dir := writeTiny(t, tinyConfigs["llama"])
	cfg, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	for want, options := range map[string]nn.Options{
		`no module's name ends with "score"`: {Modules: nn.Modules{Names: []string{"lm_head", "score"}}},
		"modules_to_save picks model.layers.0.self_attn.o_proj, which is stored in 4 bits": {
			Modules: nn.Modules{Names: []string{"o_proj"}}, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64},
		},
	} {
		_, err = nn.New(cfg, base, options, bindings.NewMemory(), bindings.Info{})
		require.ErrorContains(t, err, want)
	}
}
