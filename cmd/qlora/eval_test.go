package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const questions = "../../trainer/multiplechoice/testdata/"

// TestEvalQuestions checks that multiple-choice questions are detected by their
// fields, and that the harness's results are printed (package multiplechoice tests the
// numbers).
func TestEvalQuestions(t *testing.T) {
	base := []string{"eval", "--model", "../../demo/base", "--load_in_4bit=false"}
	out := filepath.Join(t.TempDir(), "scores.jsonl")
	code, stdout, stderr := run(t, append(base, "--dataset", questions+"piqa.jsonl", "--json", "--output", out)...)
	require.Zero(t, code, stderr)
	var got map[string]float64
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Equal(t, 8.0, got["records"])
	var golden []struct {
		Name    string
		Results map[string]map[string]float64
	}
	text, err := os.ReadFile(questions + "golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &golden))
	for _, c := range golden {
		if c.Name == "piqa" {
			for _, name := range []string{"acc", "acc_stderr", "acc_norm", "acc_norm_stderr", "acc_bytes", "acc_bytes_stderr"} {
				require.InDelta(t, c.Results[""][name], got[name], 1e-12, name)
			}
		}
	}
	lines, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, 8, strings.Count(string(lines), "\n"))
	require.Contains(t, string(lines), `"loglikelihoods":[`)

	code, stdout, stderr = run(t, append(base, "--dataset", questions+"mmlu.jsonl")...)
	require.Zero(t, code, stderr)
	for _, want := range []string{"questions  acc", "garden_walls", "old_boats", "mean of subjects", "all questions", " ± "} {
		require.Contains(t, stdout, want)
	}
}

func TestEvalRefuses(t *testing.T) {
	plain := writeRecords(t, 2, 8)
	for want, args := range map[string][]string{
		"--fewshot is for multiple-choice questions":              {"--dataset", plain, "--fewshot", "2"},
		"needs question+choices+answerKey":                        {"--dataset", plain, "--dataset_format", "multiple-choice"},
		"--apply_chat_template has no effect":                     {"--dataset", questions + "arc.jsonl", "--apply_chat_template"},
		"--dataset is \"x.jsonl\", but it does not exist":         {"--dataset", "x.jsonl"},
		"--fewshot_dataset is \"x.jsonl\", but it does not exist": {"--dataset", questions + "arc.jsonl", "--fewshot", "1", "--fewshot_dataset", "x.jsonl"},
		"fewshot is 50, but there are only":                       {"--dataset", questions + "arc.jsonl", "--fewshot", "50"},
		"--score_choices is \"x\", but it must be":                {"--dataset", questions + "arc.jsonl", "--score_choices", "x"},
		"--fewshot, the number of examples to take of it, is 0":   {"--dataset", questions + "arc.jsonl", "--fewshot_dataset", questions + "arc.jsonl"},
	} {
		code, stdout, stderr := run(t, append([]string{"eval", "--model", "../../demo/base"}, args...)...)
		require.Equal(t, 2, code, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, want)
	}
}

func TestMergeCommand(t *testing.T) {
	out := filepath.Join(t.TempDir(), "merged")
	args := []string{
		"merge", "--model", "../../trainer/testdata/parity/models/llama-nf4", "--adapter", "../../lora/merge/testdata/adapters/tied", "--output_dir", out,
	}
	code, stdout, stderr := run(t, args...)
	require.Zero(t, code, stderr)
	require.Equal(t, out+"\n", stdout)
	require.Contains(t, stderr, "rounded twice")
	require.FileExists(t, filepath.Join(out, "model.safetensors"))
	code, _, stderr = run(t, args...)
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "it is not empty: name a new folder")
}
