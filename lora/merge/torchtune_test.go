package merge

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
	"qlora/nn/quantize"
)

const torchtuned = "testdata/torchtune"

// copyOf copies files of a folder to another.
func copyOf(t *testing.T, from, to string, names ...string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o755))
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, name), data, 0o644))
	}
}

// TestMergeAsTorchtune merges adapters that torchtune's checkpointer saved and compares
// with its own merge. "old" is PEFT's format in a pickle, as old versions write it.
func TestMergeAsTorchtune(t *testing.T) {
	for name, model := range map[string]string{"llama": "llama-wide", "dora": "llama-wide", "old": "llama-wide", "qwen": "qwen2"} {
		t.Run(name, func(t *testing.T) {
			requireFused(t, model, filepath.Join(torchtuned, name), "", name == "dora")
		})
	}
	t.Run("PEFT's format", func(t *testing.T) {
		dir := t.TempDir()
		copyOf(t, filepath.Join(torchtuned, "llama"), dir, "adapter_config.json", lora.WeightsFile)
		requireFused(t, "llama-wide", filepath.Join(torchtuned, "llama"), dir, false)
	})
	t.Run("configuration above, old name", func(t *testing.T) {
		out := t.TempDir()
		copyOf(t, filepath.Join(torchtuned, "llama"), out, "torchtune_config.yaml")
		copyOf(t, filepath.Join(torchtuned, "llama"), filepath.Join(out, "epoch_0"), "adapter_model.pt")
		require.NoError(t, os.Rename(filepath.Join(out, "epoch_0", "adapter_model.pt"), filepath.Join(out, "epoch_0", "adapter_11.pt")))
		require.NoError(t, os.WriteFile(filepath.Join(out, "epoch_0", "adapter_9.pt"), nil, 0o644))
		requireFused(t, "llama-wide", filepath.Join(torchtuned, "llama"), filepath.Join(out, "epoch_0"), false)
	})
}

// TestTorchtuneRefuses changes a checkpoint's folder.
func TestTorchtuneRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   string
	}{
		"phi3": {func(t *testing.T, dir string) {
			write(t, dir, "torchtune_config.yaml", "model: {_component_: torchtune.models.phi3.lora_phi3_mini, lora_rank: 4, lora_alpha: 8}")
		}, "phi3.lora_phi3_mini"},
		"full": {func(t *testing.T, dir string) {
			write(t, dir, "torchtune_config.yaml", "model: {_component_: torchtune.models.llama3.llama3_8b}")
		}, "no lora_rank"},
		"heads": {func(t *testing.T, dir string) {
			write(t, dir, "torchtune_config.yaml", "model: {_component_: torchtune.models.gemma.lora_gemma_2b, lora_rank: 4, lora_alpha: 8}")
		}, "no number of heads of 256"},
		"YAML":    {func(t *testing.T, dir string) { write(t, dir, "torchtune_config.yaml", "model: [") }, "torchtune_config.yaml"},
		"pickle":  {func(t *testing.T, dir string) { write(t, dir, "adapter_model.pt", "PK") }, "adapter_model.pt"},
		"nothing": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "adapter_model.pt"))) }, "adapter_config.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			copyOf(t, filepath.Join(torchtuned, "llama"), dir, "adapter_model.pt", "torchtune_config.yaml")
			c.change(t, dir)
			_, err := NewJob(Options{Model: filepath.Join(models, "llama-wide"), Adapters: []string{dir}, OutputDir: filepath.Join(t.TempDir(), "none")}, quantize.DefaultOptions(), reference)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}
