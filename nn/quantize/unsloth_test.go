package quantize

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/tinymodel"
	"qlora/nn"
	"qlora/nn/family"
)

// TestUnsloth loads folders whose config.json has the form of Unsloth's 4-bit
// repositories, plain and dynamic. testdata/unsloth.py records the layers that
// transformers leaves in 16 bits.
func TestUnsloth(t *testing.T) {
	var records []struct {
		Name     string
		Config   map[string]json.RawMessage
		In16Bits []string `json:"in_16_bits"`
	}
	text, err := os.ReadFile("testdata/unsloth.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &records))
	require.NotEmpty(t, records)
	for _, r := range records {
		t.Run(r.Name, func(t *testing.T) {
			dir := writeMixed(t, r.Config, r.In16Bits)
			cfg, err := family.ReadConfig(dir)
			require.NoError(t, err)
			require.NotNil(t, cfg.Quantization)
			base := open(t, dir)
			m, err := nn.New(cfg, base, nn.Options{Quantize: &bindings.QuantizeOptions{BlockSize: 64}}, bindings.NewMemory(), bindings.Info{Activation: bindings.BF16})
			require.NoError(t, err)
			var dense []string
			for _, p := range m.Projections() {
				if p.Weight.Quantized == nil {
					dense = append(dense, p.Name)
				}
			}
			assert.ElementsMatch(t, r.In16Bits, dense, "layers in 16 bits")

			// A merged or tuned folder keeps the entry, so that transformers loads it too.
			again, err := json.Marshal(cfg.Quantization)
			require.NoError(t, err)
			var kept checkpoint.Quantization
			require.NoError(t, json.Unmarshal(again, &kept))
			assert.Equal(t, *cfg.Quantization, kept)
		})
	}
}

// writeMixed writes a folder with random weights whose linear layers are in 4 bits, but
// for those named.
func writeMixed(t *testing.T, config map[string]json.RawMessage, in16Bits []string) string {
	t.Helper()
	base, packed, out := t.TempDir(), filepath.Join(t.TempDir(), "packed"), filepath.Join(t.TempDir(), "out")
	whole, err := json.Marshal(config)
	require.NoError(t, err)
	plain := map[string]json.RawMessage{}
	for key, value := range config {
		if key != "quantization_config" {
			plain[key] = value
		}
	}
	text, err := json.Marshal(plain)
	require.NoError(t, err)
	require.NoError(t, tinymodel.Write(base, string(text), tinymodel.Normal(0.1)))
	require.NoError(t, Folder(t.Context(), base, packed, DefaultOptions(), nil))

	from, to := open(t, base), open(t, packed)
	var shard []checkpoint.Weight
	for _, name := range from.Names() {
		module := strings.Replace(strings.TrimSuffix(name, ".weight"), "language_model.model.", "model.language_model.", 1)
		source := to
		if slices.Contains(in16Bits, module) {
			source = from
		}
		w, err := checkpoint.Copy(source, name)
		require.NoError(t, err)
		shard = append(shard, w)
	}
	w := checkpoint.Writer{Config: whole, Shards: [][]checkpoint.Weight{shard}}
	require.NoError(t, w.Write(t.Context(), out, nil))
	return out
}
