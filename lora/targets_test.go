package lora

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/nn/family"
)

// TestMatchIsPEFTs compares with PEFT's choice (testdata/generate.py). Where PEFT puts
// an adapter on the embedding, Match must return an error.
func TestMatchIsPEFTs(t *testing.T) {
	var golden struct {
		Models map[string]struct{ Linear, Other []string }
		Cases  []struct {
			Model   string
			Targets Targets
			Picked  []string
			Error   string
		}
	}
	data, err := os.ReadFile("testdata/targets.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &golden))
	require.NotEmpty(t, golden.Cases)
	for _, c := range golden.Cases {
		text, err := json.Marshal(c.Targets)
		require.NoError(t, err)
		t.Run(fmt.Sprintf("%s/%s", c.Model, text), func(t *testing.T) {
			m := golden.Models[c.Model]
			targets, err := c.Targets.Resolve(c.Model, family.DefaultTargets(c.Model), m.Linear)
			require.NoError(t, err)
			got, err := targets.Match(ModuleNames{Linear: m.Linear, Other: m.Other})
			refuse := c.Error != "" || slices.ContainsFunc(c.Picked, func(name string) bool { return !slices.Contains(m.Linear, name) })
			if refuse {
				assert.Error(t, err)
				return
			}
			require.NoError(t, err)
			slices.Sort(got)
			slices.Sort(c.Picked)
			assert.Equal(t, c.Picked, got)
		})
	}
}

var twoLayers = ModuleNames{
	Linear: []string{"model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj", "model.layers.1.self_attn.q_proj", "model.layers.1.mlp.up_proj"},
	Other:  []string{"lm_head", "model.embed_tokens", "model.layers.0.mlp"},
}

func TestMatchErrors(t *testing.T) {
	for _, c := range []struct{ targets, want string }{
		{"q_proj,k_proj", `"k_proj" matches no layer of this model; it has q_proj, up_proj`},
		{"lm_head", `"lm_head" picks lm_head, which cannot have an adapter`},
		{"q_proj,embed_tokens", `"embed_tokens" picks model.embed_tokens`},
		{".*(head|q_proj)", "picks lm_head"},
		{".*mlp.*", "picks model.layers.0.mlp"},
		{"q_proj|up_proj", "matches no layer's whole name; a name is for example model.layers.0.self_attn.q_proj"},
		{"[", "is not a regular expression"},
	} {
		t.Run(c.targets, func(t *testing.T) {
			got, err := ParseTargets(c.targets).Match(twoLayers)
			assert.ErrorContains(t, err, c.want)
			assert.Empty(t, got)
		})
	}
	_, err := Targets{}.Resolve("phi3", nil, twoLayers.Linear)
	assert.ErrorContains(t, err, `model type "phi3" has no default`)
}

func TestMatchStopsBacktracking(t *testing.T) {
	start := time.Now()
	_, err := Targets{Pattern: `(([a-z_.0-9]+)+)+!`}.Match(ModuleNames{Linear: []string{strings.Repeat("model.layers.", 20)}})
	assert.ErrorContains(t, err, "takes too long")
	assert.Less(t, time.Since(start), 10*time.Second)
}

func TestParseTargets(t *testing.T) {
	for _, c := range []struct {
		text string
		want Targets
	}{
		{"", Targets{}},
		{"all-linear", Targets{Pattern: AllLinear}},
		{"All-Linear", Targets{Pattern: AllLinear}},
		{"q_proj", Targets{Names: []string{"q_proj"}}},
		{" q_proj, v_proj,q_proj,", Targets{Names: []string{"q_proj", "v_proj"}}},
		{"model.layers.0.self_attn.q_proj", Targets{Names: []string{"model.layers.0.self_attn.q_proj"}}},
		{".*q_proj", Targets{Pattern: ".*q_proj"}},
		{`layers\.1.q_proj`, Targets{Pattern: `layers\.1.q_proj`}},
	} {
		assert.Equal(t, c.want, ParseTargets(c.text), "%q", c.text)
	}
}

// TestWithin checks that, in a multi-modal model, layer names match only in the text
// part.
func TestWithin(t *testing.T) {
	const part = "model.language_model"
	for _, c := range []struct{ in, want Targets }{
		{Targets{Names: []string{"q_proj"}}, Targets{Pattern: `model\.language_model\.(?:.*\.)?(?:q_proj)`}},
		{Targets{Names: []string{"self_attn.q_proj", part + ".layers.0.mlp.up_proj"}}, Targets{Pattern: `model\.language_model\.(?:.*\.)?(?:self_attn\.q_proj|layers\.0\.mlp\.up_proj)`}},
		{Targets{Pattern: ".*"}, Targets{Pattern: ".*"}},
	} {
		require.Equal(t, c.want, c.in.within(part))
		require.Equal(t, c.in, c.in.within(""))
	}
	layers := ModuleNames{Linear: []string{part + ".layers.0.mlp.up_proj", part + ".layers.0.self_attn.q_proj", part + ".layers.1.self_attn.q_proj"}}
	picked, err := Targets{Names: []string{"q_proj"}}.within(part).Match(layers)
	require.NoError(t, err)
	require.Equal(t, layers.Linear[1:], picked)
}
