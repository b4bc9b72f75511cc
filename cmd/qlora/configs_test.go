package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConfigs trains with each of the example YAML files.
func TestConfigs(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	model, records := writeModel(t), writeRecords(t, 12, 10)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, _, stderr := run(t, "train", "--config", file, "--model", model, "--dataset", records, "--eval_dataset", records,
				"--output_dir", out, "--logging_dir", filepath.Join(out, "runs"), "--max_steps", "2", "--sample_tokens", "8")
			require.Equal(t, 0, code, stderr)
			require.FileExists(t, filepath.Join(out, "adapter_model.safetensors"))
		})
	}
}

// TestConfigShapes plans each of the example shapes from its config.json alone.
func TestConfigShapes(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			code, stdout, stderr := run(t, "plan", "--model", file, "--max_length", "2048")
			require.Equal(t, 0, code, stderr)
			require.Contains(t, stdout, "weights_4bit")
		})
	}
}

// TestLaunchers checks that the options in the files for launchers exist.
func TestLaunchers(t *testing.T) {
	files, err := filepath.Glob("../../configs/launchers/*")
	require.NoError(t, err)
	require.Len(t, files, 6)
	_, help, _ := run(t, "train", "--help")
	option := regexp.MustCompile(`--[a-z]+_[a-z_]+`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), "qlora", file)
		for _, name := range option.FindAllString(string(text), -1) {
			require.Contains(t, help, name, file)
		}
		if strings.HasSuffix(file, ".sh") {
			output, err := exec.Command("bash", "-n", file).CombinedOutput()
			require.NoError(t, err, "%s: %s", file, output)
		}
	}
}

// A sequence longer than the model's table of positions is refused, not planned.
func TestSequenceLongerThanPositions(t *testing.T) {
	code, _, stderr := run(t, "plan", "--model", "../../configs/gpt3-175b.json", "--max_length", "2049")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "a sequence has 2049 tokens, but the model has 2048 positions; set a smaller --max_length")
}
