package mlx

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
)

func TestNames(t *testing.T) {
	for mlx, hub := range map[string]string{
		"model.layers.3.self_attn.q_proj":                "model.layers.3.self_attn.q_proj",
		"language_model.model.layers.3.self_attn.q_proj": "model.language_model.layers.3.self_attn.q_proj",
		"model.h.0.attn.c_attn":                          "transformer.h.0.attn.c_attn",
		"model.h.11.mlp.c_fc":                            "transformer.h.11.mlp.c_fc",
		"model.h.0.attention.query_key_value":            "gpt_neox.layers.0.attention.query_key_value",
		"model.h.0.mlp.dense_h_to_4h":                    "gpt_neox.layers.0.mlp.dense_h_to_4h",
		"model.h.x":                                      "model.h.x",
		"lm_head":                                        "lm_head",
	} {
		assert.Equal(t, hub, toHub(mlx), mlx)
		assert.Equal(t, mlx, fromHub(hub), hub)
	}
}

func TestIsConfig(t *testing.T) {
	for text, want := range map[string]bool{
		`{"fine_tune_type": "lora"}`:                      true,
		`{"lora_layers": 16, "lora_parameters": {}}`:      true,
		`{"peft_type": "LORA", "fine_tune_type": "lora"}`: false,
		`{"r": 8}`: false,
		`[]`:       false,
		``:         false,
	} {
		assert.Equal(t, want, IsConfig([]byte(text)), text)
	}
}

func TestPEFTConfig(t *testing.T) {
	s, err := parse([]byte(`{"use_dora": true, "model": "org/m", "lora_layers": 4, "lora_parameters": {"rank": 4, "scale": 20.0, "dropout": 0.1, "alpha": 16}}`))
	require.NoError(t, err)
	text, err := s.peft([]string{"model.layers.1.mlp.up_proj.lora_a", "model.layers.1.mlp.up_proj.lora_b", "model.layers.1.mlp.up_proj.m"})
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "org/m", "r": 4.0, "lora_alpha": 80.0, "lora_dropout": 0.1,
		"use_dora": true, "target_modules": []any{"model.layers.1.mlp.up_proj"},
	}, got)
}

func TestRefusals(t *testing.T) {
	good := []string{"model.layers.0.self_attn.q_proj.lora_a"}
	for name, c := range map[string]struct {
		config string
		names  []string
		want   string
	}{
		"full":       {`{"fine_tune_type": "full", "lora_parameters": null}`, good, "mlx_lm.fuse"},
		"kind":       {`{"fine_tune_type": "ia3"}`, good, `"ia3"`},
		"no rank":    {`{"fine_tune_type": "lora"}`, good, "lora_parameters is missing"},
		"rank 0":     {`{"lora_parameters": {"scale": 1}}`, good, "rank in lora_parameters is 0"},
		"a list":     {`[]`, good, "not a configuration"},
		"a weight":   {`{"lora_parameters": {"rank": 2}}`, []string{"model.norm.weight"}, "model.norm.weight"},
		"embedding":  {`{"lora_parameters": {"rank": 2}}`, []string{"model.embed_tokens.lora_a"}, "embedding"},
		"magnitude":  {`{"lora_parameters": {"rank": 2}}`, []string{"model.layers.0.mlp.up_proj.m"}, "magnitude"},
		"no tensors": {`{"lora_parameters": {"rank": 2}}`, nil, "no tensor"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parse([]byte(c.config))
			if err == nil {
				_, err = s.peft(c.names)
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestFusedExperts has the three dimensions of mlx-lm's factors on a layer of experts.
func TestFusedExperts(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, checkpoint.WriteFile(filepath.Join(dir, WeightsFile), []checkpoint.Entry{
		dense("model.layers.0.mlp.switch_mlp.up_proj.lora_a", []int{2, 3, 4}, func(int) float32 { return 1 }),
	}, nil))
	_, err := Tensors(dir)
	require.ErrorContains(t, err, "fused experts")
	require.NoError(t, os.Remove(filepath.Join(dir, WeightsFile)))
	_, err = Tensors(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"fine_tune_type": "dora", "lora_parameters": {"rank": 8, "scale": 20.0, "dropout": 0.0, "keys": ["self_attn.q_proj"]}}`), "model.layers.0.self_attn.q_proj.lora_a")
	f.Add([]byte(`{"lora_parameters": {"rank": 1}}`), "m.h.0.x.m")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		s, err := parse(text)
		if err != nil {
			return
		}
		if config, err := s.peft([]string{name}); err == nil {
			require.True(t, json.Valid(config))
			inLayer(fromHub(name))
		}
	})
}
