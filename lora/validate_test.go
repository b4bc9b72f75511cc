package lora

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/nn"
	"qlora/option"
)

// TestValidateNamesTheOption checks that Validate and Assemble refuse a configuration
// written in Go by the option's name.
func TestValidateNamesTheOption(t *testing.T) {
	sound := Config{R: 4, Alpha: 8, Targets: ParseTargets(AllLinear)}
	require.NoError(t, sound.Validate())
	_, m, dev := attachedTo(t, "narrow", sound)
	for name, change := range map[string]func(*Config){
		"r":                   func(c *Config) { c.R = 0 },
		"lora_alpha":          func(c *Config) { c.Alpha = math.Inf(1) },
		"lora_dropout":        func(c *Config) { c.Dropout = math.NaN() },
		"bias":                func(c *Config) { c.Bias = "some" },
		"task_type":           func(c *Config) { c.TaskType = "SEQ_CLS" },
		"init_lora_weights":   func(c *Config) { c.Init = "corda" },
		"loftq_iter":          func(c *Config) { c.Init, c.LoftQIterations = InitLoftQ, -1 },
		"modules_to_save":     func(c *Config) { c.ModulesToSave = []string{""} },
		"exclude_modules":     func(c *Config) { c.Exclude.Pattern = AllLinear },
		"layers_to_transform": func(c *Config) { c.Layers = Layers{-1} },
		"layers_pattern":      func(c *Config) { c.LayersPattern = []string{"layers"} },
		"lora_bias":           func(c *Config) { c.LoraBias, c.Init = true, InitGaussian },
		"rank_pattern":        func(c *Config) { c.RankPattern = Pattern{{Key: "q_proj"}} },
	} {
		c := sound
		change(&c)
		_, assembled := Assemble(m.Config, nil, nn.Options{}, &c, dev.Info())
		for _, err := range []error{c.Validate(), c.ValidateNew(), assembled} {
			var refused *option.Error
			require.ErrorAs(t, err, &refused, name)
			assert.Equal(t, name, refused.Option)
		}
	}
}

func TestZeroValuesAreDefaults(t *testing.T) {
	c := Config{R: 4, Alpha: 8}.withDefaults()
	assert.Equal(t, InitDefault, c.Init)
	c = Config{R: 4, Alpha: 8, Init: InitLoftQ}.withDefaults()
	assert.Equal(t, 1, c.LoftQIterations)
}

func TestValidateNamesEverything(t *testing.T) {
	c := Config{Dropout: 1, Bias: "some"}
	err := c.Validate()
	for _, want := range []string{"`r` is 0", "`lora_dropout` is 1", "`bias` is \"some\""} {
		require.ErrorContains(t, err, want)
	}
	c = Config{R: 4, Alpha: 8, Bias: nn.BiasesNone}
	require.NoError(t, c.Validate())
	c.Alpha = 0 // which PEFT reads
	require.NoError(t, c.Validate())
	require.ErrorContains(t, c.ValidateNew(), "`lora_alpha` is 0")
}

func TestDefaultConfigIsWhatDefaultOptionsMean(t *testing.T) {
	want, err := DefaultOptions().Config()
	require.NoError(t, err)
	got := DefaultConfig()
	require.Equal(t, want.withDefaults(), got.withDefaults())
	require.NoError(t, got.ValidateNew())
}
