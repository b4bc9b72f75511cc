package verbs

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/exit"
)

func TestImport(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"axolotl.yml": "base_model: org/name\nadapter: qlora\nload_in_4bit: true\ndatasets:\n  - path: a.jsonl\n    type: alpaca\nmicro_batch_size: 2\n" +
			"learning_rate: 1e-4\nwandb_project: x\nlora_model_dir:\n",
		"rl.yml":     "base_model: ./m\nadapter: lora\nmicro_batch_size: 0\nlearning_rate: 1e-4\nrl: ebft\noptimizer: muon\nlora_r: 8\n",
		"run.sh":     "# train\nOUT=out\ntrl sft --model_name_or_path ./m --dataset_name a.jsonl --use_peft \\\n  --output_dir $OUT\n",
		"args.json":  `{"model_name_or_path": "./m", "train_file": "a.jsonl", "do_train": true, "learning_rate": 1e-4}`,
		"own.yaml":   "model: ./m\n",
		"empty.yaml": "# nothing\n",
		"wrong.yaml": "a: [b\n",
	} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}

	code, stdout, stderr := runHere("import", "axolotl.yml")
	require.Equal(t, exit.Done, code, stderr)
	assert.Contains(t, stdout, "per_device_train_batch_size: 2\n")
	assert.Contains(t, stdout, "save_total_limit: 4 # Axolotl's default\n")
	lines := strings.Split(stderr, "\n")
	assert.Equal(t, "base_model: org/name → model: org/name", lines[0])
	assert.Equal(t, "adapter: qlora → method: qlora", lines[1])
	assert.Equal(t, "micro_batch_size: 2 → per_device_train_batch_size: 2", lines[4])
	assert.Contains(t, lines[6], "wandb_project: x → no effect: no tracking service")
	assert.Contains(t, stderr, "gradient_accumulation_steps: 1 (Axolotl's default)\n")
	assert.Contains(t, stderr, "without a value: lora_model_dir\n")
	assert.Contains(t, stderr, "axolotl.yml, a file of Axolotl: 5 keys taken, 2 without effect, 0 that cannot be done; ")

	code, stdout, stderr = runHere("import", "rl.yml", "--output", "run.yaml")
	require.Equal(t, exit.Wrong, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "rl: ebft → cannot: the objectives are dpo, ipo")
	assert.Contains(t, stderr, "optimizer: muon → cannot: ")
	assert.Contains(t, stderr, "micro_batch_size: 0 → cannot: ")
	assert.Contains(t, stderr, "\nqlora: rl.yml: micro_batch_size, rl, optimizer cannot be done as it is there; all else is written\n")
	written, err := os.ReadFile("run.yaml")
	require.NoError(t, err)
	assert.Contains(t, string(written), "# cannot be done: rl: ebft: the objectives")
	assert.Contains(t, string(written), "lora_r: 8\n")
	assert.NotContains(t, string(written), "\noptim:")

	for file, want := range map[string]string{"run.sh": "output_dir: \"out\"\n", "args.json": "method: \"full\" # transformers's default\n"} {
		code, stdout, stderr = runHere("import", file)
		require.Equal(t, exit.Done, code, stderr)
		assert.Contains(t, stdout, want)
	}

	for _, args := range [][2]string{
		{"own.yaml", "own.yaml: it has the names of this program; train with it by --config"},
		{"empty.yaml", "empty.yaml: it has no names with values"},
		{"wrong.yaml", "wrong.yaml: line 1: not YAML"},
		{"missing.yaml", "missing.yaml: no such file"},
	} {
		code, stdout, stderr = runHere("import", args[0])
		assert.Equal(t, exit.Wrong, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, args[1])
	}
}

// TestImportedFilesAreAccepted checks that train reads what import writes, and the other
// program's file itself in the same way.
func TestImportedFilesAreAccepted(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("a.yml", []byte("base_model: ./m\nadapter: qlora\nload_in_4bit: true\ndatasets: [{path: a.jsonl, type: {format: \"{instruction}\\n\"}}]\n"+
		"lora_r: 4\nlora_alpha: 8\nlearning_rate: 1e-4\nval_set_size: 0.1\nevals_per_epoch: 2\nlora_target_modules: [q_proj]\n"), 0o644))
	code, _, stderr := runHere("import", "a.yml", "--output", "run.yaml")
	require.Equal(t, exit.Done, code, stderr)
	resolved := map[string]string{}
	for _, file := range []string{"a.yml", "run.yaml"} {
		set := TrainOptions()
		cmd := verb("train", "", set, func(*call) error { return nil })
		cmd.SetArgs([]string{"--config", file})
		cmd.SetErr(&strings.Builder{})
		require.NoError(t, cmd.Execute())
		resolved[file] = string(set.YAML())
	}
	assert.Equal(t, resolved["a.yml"], resolved["run.yaml"])

	require.NoError(t, os.WriteFile("b.yml", []byte("base_model: ./m\nadapter: lora\nmicro_batch_size: 1\nrl: ebft\nload_in_8bit: true\n"), 0o644))
	code, _, stderr = runHere("train", "--config", "b.yml")
	require.Equal(t, exit.Wrong, code)
	assert.Contains(t, stderr, "b.yml:4: rl: the objectives are dpo, ipo")
	assert.Contains(t, stderr, "b.yml:5: load_in_8bit: ")
}
