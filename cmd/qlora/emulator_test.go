package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda/cudatest"
)

// TestEmulatorFromTheCommandLine trains a little, and generates and evaluates with an
// adapter from the CPU with the CPU's results.
func TestEmulatorFromTheCommandLine(t *testing.T) {
	cudatest.Emulator(t)
	model, dir := writeModelWith(t, strings.Replace(modelConfig, `"tie_word_embeddings": true`, `"tie_word_embeddings": false`, 1)), t.TempDir()
	write(t, filepath.Join(model, "tokenizer.json"), chatTokenizer)
	records, template, out := filepath.Join(dir, "chats.jsonl"), filepath.Join(dir, "my.jinja"), filepath.Join(dir, "out")
	write(t, records, strings.Repeat(`{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "ca"}]}`+"\n", 4))
	write(t, template, chatTemplate)
	learn := []string{
		"train", "--model", model, "--dataset", records, "--chat_template", template,
		"--per_device_train_batch_size", "4", "--learning_rate", "0.01", "--lora_dropout", "0", "--report_to", "none",
	}
	code, _, stderr := run(t, append(learn, "--output_dir", filepath.Join(dir, "emulated"), "--device", "emu", "--max_steps", "2")...)
	require.Zero(t, code, stderr)
	require.Contains(t, string(read(t, filepath.Join(dir, "emulated"), "run.yaml")), "device emu: ")

	code, _, stderr = run(t, append(learn, "--output_dir", out, "--max_steps", "60")...)
	require.Zero(t, code, stderr)
	code, stdout, stderr := run(t, "generate", "--model", model, "--adapter", out, "--chat", "--chat_template", template,
		"--max_new_tokens", "8", "--device", "emu", "--embedding_on_host", "--prompt", "a")
	require.Zero(t, code, stderr)
	assert.Equal(t, "ca\n", stdout)
	assert.NotContains(t, stderr, "embedding_on_host")

	var scored [2]struct{ Loss float64 }
	for i, device := range []string{"cpu", "emu"} {
		code, stdout, stderr := run(t, "eval", "--model", model, "--adapter", out, "--dataset", records, "--chat_template", template, "--device", device, "--json")
		require.Zero(t, code, stderr)
		require.NoError(t, json.Unmarshal([]byte(stdout), &scored[i]))
	}
	assert.InDelta(t, scored[0].Loss, scored[1].Loss, 0.01)

	code, _, stderr = run(t, "generate", "--model", model, "--embedding_on_host", "--max_new_tokens", "1", "--device", "cpu", "--prompt", "a")
	assert.Zero(t, code)
	assert.Contains(t, stderr, "--embedding_on_host has no effect: cpu computes in the host's memory")
	tied := writeModel(t)
	code, _, stderr = run(t, "generate", "--model", tied, "--embedding_on_host", "--device", "emu", "--prompt", "a")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "--embedding_on_host is true, but this model's output head is its embedding: leave it out")
}

// TestDevicesThatAreNotThere checks that messages name what is missing and what to do.
func TestDevicesThatAreNotThere(t *testing.T) {
	t.Setenv("QLORA_CUDA_LIBRARY", filepath.Join(t.TempDir(), "absent.so"))
	model, records := writeModel(t), writeRecords(t, 2, 8)
	for _, c := range []struct {
		device string
		words  []string
	}{
		{"cuda", []string{"--device cuda: no library of kernels", "absent.so", "QLORA_CUDA_LIBRARY", "`make cuda`", "--device cpu"}},
		{"cuda:1", []string{"--device cuda:1"}},
		{"cuda:01", []string{`--device is "cuda:01", but it can be auto, cpu, cuda, cuda:N or emu`}},
		{"gpu", []string{`--device is "gpu"`}},
	} {
		code, _, stderr := run(t, "train", "--model", model, "--dataset", records, "--output_dir", filepath.Join(t.TempDir(), "out"), "--device", c.device)
		assert.Equal(t, 2, code)
		for _, w := range c.words {
			assert.Contains(t, stderr, w)
		}
	}
	code, stdout, stderr := run(t, "doctor")
	require.Zero(t, code, stderr)
	for _, w := range []string{"device cuda", "absent.so", "device emu"} {
		assert.Contains(t, stdout, w)
	}
	assert.Regexp(t, "--device auto +uses cpu", stdout)
}
