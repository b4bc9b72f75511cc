package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSamplePrompts reads prompts from a file of lines, from records up to their first
// trained token, and from the first evaluation records.
func TestSamplePrompts(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 8, 8)
	eval := filepath.Join(t.TempDir(), "eval.jsonl")
	write(t, eval, `{"input_ids": [0, 1, 1, 0], "labels": [-100, -100, 1, 0]}`+"\n"+`{"input_ids": [0, 0, 0, 0, 0, 0, 0, 0]}`+"\n")
	lines := filepath.Join(t.TempDir(), "prompts.txt")
	write(t, lines, "b\n\na\r\n")
	for _, c := range []struct {
		prompts string
		want    []string // prompt > expected
	}{
		{lines, []string{"b > ", "a > "}},
		{eval, []string{"a b >  b a", "a a >  a a a a a a"}},
		{"1", []string{"a b >  b a"}},
		{"9", []string{"a b >  b a", "a a >  a a a a a a"}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		code, _, stderr := run(t, "train", "--model", model, "--dataset", records, "--eval_dataset", eval, "--eval_strategy", "epoch", "--output_dir", out,
			"--max_steps", "1", "--target_modules", "q_proj", "--report_to", "none", "--sample_prompts", c.prompts, "--sample_tokens", "4")
		require.Equal(t, 0, code, stderr)
		b, err := os.ReadFile(filepath.Join(out, "samples.jsonl"))
		require.NoError(t, err)
		var got []string
		for line := range strings.Lines(string(b)) {
			var s struct{ Prompt, Expected string }
			require.NoError(t, json.Unmarshal([]byte(line), &s))
			got = append(got, s.Prompt+" > "+s.Expected)
		}
		require.Equal(t, c.want, got)
	}
}

// TestSamplePromptsThatCannotBe checks that invalid prompts are found before anything
// is written.
func TestSamplePromptsThatCannotBe(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 8, 8)
	empty, long := filepath.Join(t.TempDir(), "empty.txt"), filepath.Join(t.TempDir(), "long.txt")
	write(t, empty, "\n\n")
	write(t, long, strings.Repeat("ab\n", 101))
	for want, args := range map[string][]string{
		"--sample_prompts is \"none.txt\", but it does not exist": {"--eval_strategy", "epoch", "--sample_prompts", "none.txt"},
		"which is missing":                   {"--eval_strategy", "epoch", "--sample_prompts", "3"},
		"it must be at least 1":              {"--eval_strategy", "epoch", "--sample_prompts", "0"},
		"has no prompts: write one per line": {"--eval_strategy", "epoch", "--sample_prompts", empty},
		"has more than 100 prompts":          {"--eval_strategy", "epoch", "--sample_prompts", long},
		"samples are generated at evaluat":   {"--eval_dataset", records, "--eval_strategy", "no", "--sample_prompts", "2"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		code, _, stderr := run(t, append([]string{"train", "--model", model, "--dataset", records, "--output_dir", out, "--target_modules", "q_proj"}, args...)...)
		require.Equal(t, 2, code, stderr)
		require.Contains(t, stderr, want)
		require.NoDirExists(t, out)
	}
}
