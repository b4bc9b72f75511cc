package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writePrompts writes a file of n prompts with answers.
func writePrompts(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"prompt": "ab%s", "answer": "b", "level": %d}`+"\n", strings.Repeat("b", i%3), i)
	}
	path := filepath.Join(t.TempDir(), "prompts.jsonl")
	write(t, path, b.String())
	return path
}

// grpoArgs are those of a short run.
func grpoArgs(model, prompts, out string) []string {
	return []string{
		"train", "--objective", "grpo", "--model", model, "--dataset", prompts, "--output_dir", out, "--lora_r", "4", "--learning_rate", "1e-2",
		"--per_device_train_batch_size", "4", "--num_generations", "4", "--num_iterations", "2", "--max_completion_length", "5", "--logging_steps", "1",
		"--max_length", "32", "--device", "cpu",
	}
}

// TestSampledRuns trains by rewards of both kinds, halts half-way and resumes: the adapter has
// the bits of an uninterrupted run, the rows have TRL's keys, and the pictures and the card say
// what was trained.
func TestSampledRuns(t *testing.T) {
	model, prompts := writeModel(t), writePrompts(t, 6)
	judge := filepath.Join(t.TempDir(), "judge.sh")
	write(t, judge, "while read -r line; do case \"$line\" in *'\"level\":0'*) echo null;; *a*) echo 0.5;; *) echo 0;; esac; done\n")
	train := func(out string, more ...string) string {
		args := append(grpoArgs(model, prompts, out), "--eval_dataset", prompts, "--per_device_eval_batch_size", "4", "--num_generations_eval", "2",
			"--eval_steps", "2", "--save_steps", "3", "--beta", "0.1", "--reward_funcs", "regex:b", "--reward_funcs", "command:sh "+judge, "--reward_weights", "1,0.5", "--log_completions")
		code, _, stderr := run(t, append(args, more...)...)
		require.Zero(t, code, stderr)
		return stderr
	}
	whole, halved := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "halved")
	stderr := train(whole, "--max_steps", "6")
	assert.Regexp(t, `step 1/6 .*  reward \d`, stderr)
	assert.Regexp(t, `sample  ".*" → ".*"  reward \d`, stderr)
	train(halved, "--max_steps", "3")
	train(halved, "--max_steps", "6", "--resume_from_checkpoint")
	const weights = "adapter_model.safetensors"
	assert.True(t, bytes.Equal(read(t, whole, weights), read(t, halved, weights)), "the resumed run's adapter differs")
	seen := map[string]bool{}
	for line := range bytes.Lines(read(t, whole, "metrics.jsonl")) {
		var row map[string]any
		require.NoError(t, json.Unmarshal(line, &row))
		for key := range row {
			seen[key] = true
		}
	}
	for _, key := range []string{
		"reward", "reward_std", "rewards/regex/mean", "rewards/judge/std", "kl", "entropy", "frac_reward_zero_std", "num_tokens", "completions/mean_length",
		"completions/clipped_ratio", "completions/max_terminated_length", "clip_ratio/region_mean", "clip_ratio/low_min",
	} {
		assert.True(t, seen[key] && seen["eval_"+key], "metrics.jsonl has no %s, or no eval_%s", key, key)
	}
	for _, picture := range []string{"loss.png", "rewards.png"} {
		assert.FileExists(t, filepath.Join(whole, picture))
	}
	card := string(read(t, whole, "README.md"))
	for _, part := range []string{"| objective | grpo |", "| beta | 0.1 |", "| rewards | regex:b, command:sh ", "2402.03300", "](rewards.png)", "- Reward: "} {
		assert.Contains(t, card, part)
	}
	code, stdout, stderr := run(t, "preview", "--objective", "grpo", "--model", model, "--dataset", prompts, "--max_completion_length", "5", "--json")
	require.Zero(t, code, stderr)
	assert.Regexp(t, `^\{"prompt_ids":\[[\d,]+\]\}\n`, stdout)
	code, stdout, stderr = run(t, "plan", "--objective", "grpo", "--model", model, "--dataset", prompts, "--max_completion_length", "5", "--reward_funcs", "exact", "--device", "cpu")
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "peak")
}

// TestBadRewards gives a run commands that do not judge: each time a sentence that names the
// reward, and a checkpoint from which the run goes on.
func TestBadRewards(t *testing.T) {
	model, prompts := writeModel(t), writePrompts(t, 4)
	for _, c := range []struct{ command, want string }{
		{"echo 'out of memory' >&2; exit 1", "ended after 0 of 4 lines: out of memory"},
		{"sleep 100", "answered 0 of 4 completions in 200ms (--reward_timeout)"},
		{"yes good", `answered completion 1 of 4 with "good"; it must be a number or null`},
		{"head -n 3 >/dev/null; echo 1; echo 1; echo 1", "ended after 3 of 4 lines"},
	} {
		t.Run(c.command, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := append(grpoArgs(model, prompts, out), "--max_steps", "2", "--reward_timeout", "0.2")
			code, _, stderr := run(t, append(args, "--reward_funcs", "judge=command:"+c.command)...)
			require.NotZero(t, code)
			assert.Contains(t, stderr, "the reward judge: its command ("+c.command+") "+c.want)
			assert.Contains(t, stderr, "checkpoint-0 and goes on from there with --resume_from_checkpoint")
			code, _, stderr = run(t, append(args, "--reward_funcs", "exact", "--resume_from_checkpoint")...)
			require.Zero(t, code, stderr)
		})
	}
}

// TestSampledRefusals gives train what the objective grpo refuses: each time a sentence that names
// the option, code 2, and no output folder.
func TestSampledRefusals(t *testing.T) {
	model, prompts, texts := writeModel(t), writePrompts(t, 4), writeRecords(t, 4, 6)
	const exact = "--reward_funcs exact "
	for _, c := range []struct{ records, args, want string }{
		{prompts, "", "--reward_funcs is missing"},
		{texts, exact, "prompts (prompt, as a text or messages)"},
		{prompts, "--reward_funcs exakt", "did you mean exact?"},
		{prompts, "--reward_funcs json_schema:none.json", "none.json"},
		{prompts, "--reward_funcs command:", "it needs a command"},
		{prompts, exact + "--num_generations 3", "it must divide the 4 completions"},
		{prompts, exact + "--num_generations 1", "must be at least 2"},
		{prompts, exact + "--max_completion_length 32", "it leaves no room for a prompt"},
		{prompts, exact + "--per_device_train_batch_size 32", "the dataset has 4 prompts"},
		{prompts, exact + "--loss_type gspo", "can be dapo, grpo"},
		{prompts, exact + "--packing", "--packing"},
		{prompts, exact + "--temperature 0", "--temperature"},
		{prompts, exact + "--generation_kwargs {\"seed\":1}", "--generation_kwargs"},
		{prompts, exact + "--beta 0.1 --method full", "--method"},
		{prompts, exact + "--scale_rewards always", "--scale_rewards"},
		{texts, "--objective sft --num_generations 4", "it has no effect with --objective sft"},
		{texts, "--objective sft --reward_funcs exact", "it has no effect with --objective sft"},
	} {
		t.Run(c.args, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := grpoArgs(model, c.records, out)
			if strings.HasPrefix(c.args, "--objective sft") {
				args = []string{"train", "--model", model, "--dataset", c.records, "--output_dir", out, "--device", "cpu"}
			}
			code, _, stderr := run(t, append(args, strings.Fields(c.args)...)...)
			assert.Equal(t, 2, code, stderr)
			assert.Contains(t, stderr, c.want)
			assert.NoDirExists(t, out)
		})
	}
}
