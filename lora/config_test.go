package lora

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/option"

	"qlora/nn"
)

// TestReadConfigOfPEFT reads files that PEFT wrote (testdata/generate.py).
func TestReadConfigOfPEFT(t *testing.T) {
	for name, want := range map[string]Config{
		"defaults": {R: 8, Alpha: 8, Init: InitDefault},
		"list": {
			R: 16, Alpha: 32, Dropout: 0.05, Init: InitDefault, TaskType: causalLM, BaseModel: "models/base",
			Targets: Targets{Names: []string{"v_proj"}},
		},
		"pattern": {
			R: 4, Alpha: 6, RSLoRA: true, Init: InitGaussian, Revision: "main",
			Targets: Targets{Pattern: `.*\.(q|v)_proj`},
		},
		"tokens": {R: 8, Alpha: 8, Init: InitDefault, Targets: Targets{Names: []string{"q_proj"}}, Tokens: TrainableTokens{IDs: []int32{1}}},
		"bias":   {R: 8, Alpha: 8, Init: InitDefault, Targets: Targets{Names: []string{"q_proj"}}, Bias: nn.BiasesAdapted},
		"dora":   {R: 8, Alpha: 8, Init: InitDefault, Targets: Targets{Names: []string{"q_proj"}}, DoRA: true},
		"modules_to_save": {
			R: 8, Alpha: 8, Init: InitDefault, Targets: Targets{Names: []string{"q_proj"}},
			ModulesToSave: []string{"lm_head", "embed_tokens"}, TieWeights: true,
		},
		"sizes": {
			R: 8, Alpha: 8, Init: InitDefault, Targets: Targets{Names: []string{"q_proj"}},
			RankPattern: Pattern{{"0.self_attn.q_proj", 4}, {"q_proj", 2}}, AlphaPattern: Pattern{{"q_proj", 4.5}},
		},
		"layers": {
			R: 8, Alpha: 8, Init: InitDefault, Targets: Targets{Names: []string{"q_proj"}},
			Exclude: Targets{Names: []string{"1.self_attn.q_proj"}}, Layers: Layers{0, 1}, LayersPattern: []string{"layers"},
		},
		"layer": {
			R: 8, Alpha: 8, Init: InitDefault, Targets: Targets{Names: []string{"q_proj"}},
			Exclude: Targets{Pattern: `.*\.k_proj`}, Layers: Layers{3},
		},
		"pissa":      {R: 8, Alpha: 8, Init: "pissa_niter_16", Targets: Targets{Names: []string{"q_proj"}}},
		"lora_bias":  {R: 8, Alpha: 8, Init: InitDefault, LoraBias: true, Targets: Targets{Names: []string{"q_proj"}}},
		"olora":      {R: 8, Alpha: 8, Init: InitOLoRA, Targets: Targets{Names: []string{"q_proj"}}},
		"loftq":      {R: 8, Alpha: 8, Init: InitLoftQ, LoftQIterations: 5, Targets: Targets{Names: []string{"q_proj"}}},
		"random":     {R: 8, Alpha: 8, Init: InitRandom, Targets: Targets{Pattern: AllLinear}},
		"orthogonal": {R: 8, Alpha: 8, Init: "orthogonal", Targets: Targets{Names: []string{"q_proj"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadConfig(filepath.Join("testdata/configs", name))
			require.NoError(t, err)
			assert.True(t, got.read)
			got.read = false
			assert.Equal(t, want, got)

			text, err := got.Marshal()
			require.NoError(t, err)
			again, err := parseConfig(text)
			require.NoError(t, err)
			assert.Equal(t, want, again, "written and read again")
		})
	}
}

func TestReadConfigRefuses(t *testing.T) {
	dirs, err := filepath.Glob("testdata/configs/refused_*")
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		key := strings.TrimPrefix(filepath.Base(dir), "refused_")
		t.Run(key, func(t *testing.T) {
			_, err := ReadConfig(dir)
			assert.ErrorContains(t, err, key)
			assert.ErrorContains(t, err, filepath.Join(dir, ConfigFile))
		})
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{``, "not a JSON object"},
		{`[1]`, "not a JSON object"},
		{`{}`, `peft_type is ""`},
		{`{"peft_type": "LORA", "r": 0}`, "r is 0"},
		{`{"peft_type": "LORA", "r": 4294967296}`, "r is 4294967296"},
		{`{"peft_type": "LORA", "r": 1.5}`, `"r" is 1.5`},
		{`{"peft_type": "LORA", "lora_dropout": 1}`, "lora_dropout is 1"},
		{`{"peft_type": "LORA", "lora_alpha": 1e999}`, `"lora_alpha" is 1e999`},
		{`{"peft_type": "LORA", "target_modules": {"a": 1}}`, `"target_modules" is {"a": 1}`},
		{`{"peft_type": "LORA", "modules_to_save": ["lm_head", ""]}`, "one of them is an empty name"},
		{`{"peft_type": "LORA", "bias": "some"}`, `bias is "some"`},
		{`{"peft_type": "LORA", "modules_to_save": "lm_head"}`, `"modules_to_save" is "lm_head"`},
		{`{"peft_type": "LORA", "init_lora_weights": "pissa_niter_-1"}`, `init_lora_weights is "pissa_niter_-1"`},
		{`{"peft_type": "LORA", "init_lora_weights": "loftq", "loftq_config": {"loftq_iter": 0}}`, "loftq_iter is 0"},
		{`{"peft_type": "LORA", "init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 2}}`, "loftq_bits is 2"},
		{`{"peft_type": "LORA", "init_lora_weights": "loftq", "loftq_config": [1]}`, `"loftq_config" is [1]`},
		{`{"peft_type": "LORA", "alora_invocation_tokens": "` + strings.Repeat("a", 1000) + `"}`, "…, which changes"},
		{`{"peft_type": "LORA", "rank_pattern": {"a": 1.5}}`, `1.5 for "a" is not a rank`},
		{`{"peft_type": "LORA", "rank_pattern": {"a": 0}}`, `0 for "a" is not a rank`},
		{`{"peft_type": "LORA", "rank_pattern": {"a": null}}`, `the value of "a" is null`},
		{`{"peft_type": "LORA", "alpha_pattern": {"a": "b"}}`, `the value of "a" is not a number`},
		{`{"peft_type": "LORA", "alpha_pattern": [1]}`, "not an object like"},
		{`{"peft_type": "LORA", "layers_to_transform": "all"}`, `"layers_to_transform" is "all"`},
		{`{"peft_type": "LORA", "layers_to_transform": [0.5]}`, `"layers_to_transform" is [0.5]`},
		{`{"peft_type": "LORA", "layers_to_transform": [0], "layers_pattern": {}}`, `"layers_pattern" is {}`},
	} {
		_, err := parseConfig([]byte(c.text))
		require.Error(t, err, c.text)
		assert.ErrorContains(t, inFile("adapter_config.json", err), c.want)
		assert.Less(t, len(err.Error()), 300)
	}
}

// TestParseConfigIgnores reads keys of other versions that are at their defaults or do
// not change a number.
func TestParseConfigIgnores(t *testing.T) {
	got, err := parseConfig([]byte(`{"peft_type": "LORA", "peft_version": "9.9", "qalora_group_size": 16, "rank_pattern": { },
		"layers_pattern": "h", "eva_config": {"rho": 2.0}, "fan_in_fan_out": true, "something_new": [], "another": false, "third": {}, "use_dora": null,
		"modules_to_save": [], "ensure_weight_tying": false}`))
	require.NoError(t, err)
	assert.Equal(t, Config{R: 8, Alpha: 8, Init: InitDefault}, got)
}

// TestParseConfigNotes checks that unknown keys that are set are noted by name.
func TestParseConfigNotes(t *testing.T) {
	got, err := parseConfig([]byte(`{"peft_type": "LORA", "R": 3, "use_future": true, "old": false, "another": null, "unsloth_fixed": true}`))
	require.NoError(t, err)
	assert.Equal(t, []string{"R", "use_future"}, got.Unread)
	assert.Equal(t, "adapter_config.json in out sets R, use_future, which is not known here: if it changes what the adapter computes, results differ from PEFT's", got.Note("out"))
	assert.Empty(t, (&Config{}).Note("out"))
}

func TestMarshalIsOldPEFTs(t *testing.T) {
	c, err := DefaultOptions().Config()
	require.NoError(t, err)
	text, err := c.Marshal()
	require.NoError(t, err)
	assert.Equal(t, `{
  "auto_mapping": null,
  "base_model_name_or_path": null,
  "bias": "none",
  "fan_in_fan_out": false,
  "inference_mode": true,
  "init_lora_weights": true,
  "layers_pattern": null,
  "layers_to_transform": null,
  "lora_alpha": 32,
  "lora_dropout": 0.05,
  "modules_to_save": null,
  "peft_type": "LORA",
  "r": 16,
  "revision": null,
  "target_modules": "all-linear",
  "task_type": "CAUSAL_LM"
}`, string(text))
}

func TestReadConfigOfNoFolder(t *testing.T) {
	_, err := ReadConfig(filepath.Join(t.TempDir(), "none"))
	assert.ErrorContains(t, err, "it does not exist")
}

func TestOptionsErrors(t *testing.T) {
	for want, change := range map[string]func(*Options){
		"`lora_r` is 0":                       func(o *Options) { o.R = 0 },
		"`lora_alpha` is 0":                   func(o *Options) { o.Alpha = 0 },
		"`lora_dropout` is 1":                 func(o *Options) { o.Dropout = 1 },
		"`layers_to_transform` is \"-1\"":     func(o *Options) { o.Layers = []string{"-1"} },
		"`layers_pattern` is [layers], but":   func(o *Options) { o.LayersPattern = []string{"layers"} },
		"2.5 for \"q_proj\" is not a rank":    func(o *Options) { o.RankPattern = Pattern{{"q_proj", 2.5}} },
		"every value must be above 0":         func(o *Options) { o.AlphaPattern = Pattern{{"q_proj", 0}} },
		"`exclude_modules` is \"all-linear\"": func(o *Options) { o.Exclude = "all-linear" },
		"one of them is an empty name":        func(o *Options) { o.ModulesToSave = []string{""} },
		"`bias` is \"some\"":                  func(o *Options) { o.Bias = "some" },
		"`init_lora_weights` is \"eva\"":      func(o *Options) { o.Init = "eva" },
		"`init_lora_weights` is \"pissa_2\"":  func(o *Options) { o.Init = "pissa_2" },
		"orthogonal needs even ranks":         func(o *Options) { o.Init, o.R = "orthogonal", 5 },
		"`loftq_bits` is 8":                   func(o *Options) { o.LoftQBits = 8 },
		"`loftq_iter` is 0":                   func(o *Options) { o.LoftQIterations = 0 },
		"saves adapters of twice the rank":    func(o *Options) { o.Init, o.R = "olora", maxRank },
	} {
		o := DefaultOptions()
		change(&o)
		_, err := o.Config()
		assert.ErrorContains(t, err, want)
		assert.ErrorAs(t, err, new(*option.Error))
	}
}

func FuzzParseConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/configs/*/" + ConfigFile)
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	for _, text := range []string{
		`{"peft_type": "LORA", "target_modules": "a"}`,
		`{"peft_type": "LORA", "rank_pattern": {"b": 2, "a": 3, "b": 1e0, "\ud800": 4}, "alpha_pattern": {"": -0.5}}`,
		`{"peft_type": "LORA", "init_lora_weights": "loftq", "loftq_config": null}`,
		`{"peft_type": "LORA", "init_lora_weights": "Gaussian", "loftq_config": {"loftq_iter": 3}}`,
		`{"peft_type": "LORA", "layers_to_transform": 0, "layers_pattern": "", "exclude_modules": []}`,
		`{"peft_type": "LORA", "layers_to_transform": [1, 1], "layers_pattern": ["a", ""], "exclude_modules": ".*"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data)
		if err != nil {
			return
		}
		text, err := c.Marshal()
		require.NoError(t, err)
		require.True(t, json.Valid(text))
		again, err := parseConfig(text)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
