package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestImportedRunIsTheSame checks that Axolotl's file itself and the file that import
// makes of it train the same adapter.
func TestImportedRunIsTheSame(t *testing.T) {
	model, records, dir := writeModel(t), writeRecords(t, 12, 10), t.TempDir()
	source, written := filepath.Join(dir, "axolotl.yml"), filepath.Join(dir, "run.yaml")
	write(t, source, fmt.Sprintf(`base_model: %s
load_in_4bit: true
adapter: qlora
lora_r: 4
lora_alpha: 8
lora_target_linear: true
datasets:
  - path: %s
sequence_len: 32
micro_batch_size: 2
num_epochs: 2
learning_rate: 0.001
lr_scheduler: cosine
cosine_min_lr_ratio: 0.1
saves_per_epoch: 2
val_set_size: 0.25
evals_per_epoch: 1
seed: 7
wandb_project:
`, model, records))
	code, _, stderr := run(t, "import", source, "--output", written)
	require.Equal(t, 0, code, stderr)
	var adapters [][]byte
	for _, config := range []string{source, written} {
		out := filepath.Join(dir, filepath.Base(config)+".out")
		code, _, stderr := run(t, "train", "--config", config, "--output_dir", out, "--device", "cpu")
		require.Equal(t, 0, code, stderr)
		adapter, err := os.ReadFile(filepath.Join(out, "adapter_model.safetensors"))
		require.NoError(t, err)
		adapters = append(adapters, adapter)
	}
	assert.Equal(t, adapters[0], adapters[1])
}
