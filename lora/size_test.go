package lora

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSizesArePEFTs compares the rank and the scale of every adapter with PEFT's
// (testdata/generate.py). What PEFT refuses is refused, and so are the entries without
// effect that the file marks.
func TestSizesArePEFTs(t *testing.T) {
	var golden []struct {
		Config  json.RawMessage
		Sizes   map[string][2]float64
		Error   string
		Refused string
	}
	data, err := os.ReadFile("testdata/sizes.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &golden))
	require.NotEmpty(t, golden)
	var models struct {
		Models map[string]struct{ Linear, Other []string }
	}
	data, err = os.ReadFile("testdata/targets.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &models))
	m := models.Models["llama"]
	for _, c := range golden {
		t.Run(string(c.Config), func(t *testing.T) {
			cfg, err := parseConfig(c.Config)
			require.NoError(t, err)
			cfg.Targets, err = cfg.Targets.Resolve("llama", nil, m.Linear)
			require.NoError(t, err)
			sizes, err := cfg.Sizes(ModuleNames{Linear: m.Linear, Other: m.Other})
			if c.Error != "" || c.Refused != "" {
				assert.ErrorContains(t, err, c.Refused)
				if c.Error != "" || len(c.Sizes) == 0 {
					return
				}
				cfg.read = true // of a stored adapter, only what PEFT refuses is
				sizes, err = cfg.Sizes(ModuleNames{Linear: m.Linear, Other: m.Other})
			}
			require.NoError(t, err)
			require.Len(t, sizes, len(c.Sizes))
			for _, s := range sizes {
				want, ok := c.Sizes[s.Module]
				require.True(t, ok, s.Module)
				assert.Equal(t, int(want[0]), s.R, "rank of %s", s.Module)
				assert.Equal(t, float32(want[1]), s.Scale, "scale of %s", s.Module)
			}
		})
	}
}

// TestEntriesOfStoredAdaptersThatMatchNothing reads configurations that PEFT takes although
// some of their names match no module; a new adapter is refused.
func TestEntriesOfStoredAdaptersThatMatchNothing(t *testing.T) {
	for name, c := range map[string]Config{
		"target_modules":      {Targets: Targets{Names: []string{"q_proj", "c_attn"}}},
		"exclude_modules":     {Targets: Targets{Names: []string{"q_proj", "up_proj"}}, Exclude: Targets{Names: []string{"up_proj", "c_attn"}}},
		"rank_pattern":        {Targets: Targets{Names: []string{"q_proj"}}, RankPattern: Pattern{{"up_proj", 3}}},
		"alpha_pattern":       {Targets: Targets{Names: []string{"q_proj"}}, AlphaPattern: Pattern{{"c_attn", 3}}},
		"layers_to_transform": {Targets: Targets{Names: []string{"q_proj"}}, Layers: Layers{0, 1, 9}},
	} {
		c.R, c.Alpha = 2, 4
		_, err := c.Sizes(twoLayers)
		require.ErrorContains(t, err, name)
		c.read = true
		sizes, err := c.Sizes(twoLayers)
		require.NoError(t, err, name)
		for _, s := range sizes {
			require.Contains(t, s.Module, "q_proj", name)
			require.Equal(t, 2, s.R)
			require.Equal(t, float32(2), s.Scale)
		}
		require.NotEmpty(t, sizes)
	}
	none := Config{R: 2, Alpha: 4, Targets: Targets{Names: []string{"c_attn"}}, read: true}
	_, err := none.Sizes(twoLayers)
	require.ErrorContains(t, err, `"c_attn" matches no layer`)
}

func TestPatternsStopBacktracking(t *testing.T) {
	c := Config{R: 2, Alpha: 2, Targets: Targets{Names: []string{"q_proj"}}, RankPattern: Pattern{{`(([a-z_.0-9]+)+)+!`, 2}}}
	_, err := c.Sizes(twoLayers)
	assert.ErrorContains(t, err, "takes too long")
	for _, key := range []string{"(", "q_proj)|(x"} {
		c.RankPattern = Pattern{{key, 2}}
		_, err := c.Sizes(twoLayers)
		assert.ErrorContains(t, err, "is not a regular expression")
	}
}

func TestPatternText(t *testing.T) {
	for text, want := range map[string]Pattern{
		"":                          nil,
		" {} ":                      nil,
		`{"b": 2, "a<": 1.5}`:       {{"b", 2}, {"a<", 1.5}},
		`{"b": 2, "a": 1, "b": 32}`: {{"b", 32}, {"a", 1}},
	} {
		var got Pattern
		require.NoError(t, got.UnmarshalText([]byte(text)), text)
		assert.Equal(t, want, got)
		written, err := got.MarshalText()
		require.NoError(t, err)
		var again Pattern
		require.NoError(t, again.UnmarshalText(written), "%s", written)
		assert.Equal(t, got, again)
	}
	var p Pattern
	assert.ErrorContains(t, p.UnmarshalText([]byte("q_proj=8")), `"q_proj=8" is not a JSON object like {"q_proj": 8}`)
}
