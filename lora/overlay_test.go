package lora

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/nn"
	"qlora/nn/family"
)

// TestOverlays generates with adapters of each kind that share a base, in one pass after
// the other, and compares the logits with those of each adapter alone on the base.
func TestOverlays(t *testing.T) {
	dir := filepath.Join(recorded, "models", "qwen2")
	model, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	defer dev.Close()
	shapes := nn.Shapes{Generate: 12, Together: nn.Together{Sequences: 4}}
	linear := Targets{Pattern: AllLinear}
	kinds := []Config{
		{R: 2, Alpha: 8, Init: InitRandom, Targets: linear},
		{R: 3, Alpha: 8, Init: InitRandom, Targets: linear, DoRA: true},
		{R: 4, Alpha: 8, Init: InitRandom, Targets: Targets{Names: []string{"q_proj", "down_proj"}}, LoraBias: true},
		{R: 2, Alpha: 8, Init: InitRandom, Targets: Targets{Names: []string{"embed_tokens", "lm_head", "o_proj"}}},
	}
	alone := func(c *Config, folder string) []float32 {
		tuned, err := Assemble(model, base, nn.Options{}, c, dev.Info())
		require.NoError(t, err)
		defer tuned.Close()
		tuned.Plan(dev, shapes)
		require.NoError(t, tuned.Load(dev, Values{Base: base, Seed: 5}))
		if c != nil {
			require.NoError(t, tuned.Adapters.Save(dev, folder))
		}
		return logitsOf(t, tuned.Model, dev, nil)[0]
	}
	want := [][]float32{alone(nil, "")}
	tuned, err := Assemble(model, base, nn.Options{}, nil, dev.Info())
	require.NoError(t, err)
	defer tuned.Close()
	overlays := []*nn.Overlay{nil}
	for i := range kinds {
		folder := t.TempDir()
		want = append(want, alone(&kinds[i], folder))
		require.NotEqual(t, want[0], want[i+1], "adapter %d changes the logits", i)
		o, err := tuned.Overlay(folder)
		require.NoError(t, err)
		overlays = append(overlays, o)
	}
	tuned.Plan(dev, shapes)
	require.NoError(t, tuned.Load(dev, Values{Base: base}))
	for i, got := range logitsOf(t, tuned.Model, dev, append(overlays, overlays...)) {
		require.Equal(t, want[i%len(want)], got, "adapter %d", i%len(want)-1)
	}
}

// logitsOf returns the logits after a prompt and one more token, of sequences that are
// generated together, each with its adapters; without any, of one.
func logitsOf(t *testing.T, m *nn.Model, dev bindings.Device, overlays []*nn.Overlay) [][]float32 {
	t.Helper()
	if overlays == nil {
		overlays = []*nn.Overlay{nil}
	}
	d := m.NewDecoder(dev)
	defer d.Close()
	var logits [][]float32
	for at := 0; at < len(overlays); at += 4 {
		var all []*nn.Sequence
		for _, o := range overlays[at:min(at+4, len(overlays))] {
			s, err := d.Begin([]int32{5, 17, 40}, 2, o)
			require.NoError(t, err)
			require.NotNil(t, s)
			all = append(all, s)
		}
		require.NoError(t, d.Extend(all...))
		for _, s := range all {
			s.Append(7)
		}
		require.NoError(t, d.Extend(all...))
		for _, s := range all {
			logits = append(logits, append([]float32(nil), s.Logits()...))
			d.End(s)
		}
	}
	return logits
}

func TestOverlaysThatCannotShareABase(t *testing.T) {
	dir := filepath.Join(recorded, "models", "narrow-tied")
	model, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	tuned, err := Assemble(model, base, nn.Options{}, nil, bindings.Info{})
	require.NoError(t, err)
	for more, want := range map[string]string{
		`"modules_to_save": ["embed_tokens"]`:    `modules that are trained whole (modules_to_save ["embed_tokens"])`,
		`"bias": "all"`:                          `biases of the base (bias "all")`,
		`"trainable_token_indices": [1]`:         "trained tokens (trainable_token_indices)",
		`"init_lora_weights": "pissa"`:           `a start that is taken from the base (init_lora_weights "pissa")`,
		`"target_modules": ["no_such_layer"]`:    "no_such_layer",
		`"target_modules": ["q_proj"], "r": "2"`: `"r"`,
	} {
		folder := t.TempDir()
		text := `{"peft_type": "LORA", "target_modules": ["q_proj"], ` + more + `}`
		require.NoError(t, os.WriteFile(filepath.Join(folder, ConfigFile), []byte(text), 0o600))
		_, err := tuned.Overlay(folder)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, folder)
	}
}
