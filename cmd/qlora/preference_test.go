package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writePairs writes a file of n preference pairs whose chosen completions are the longer ones.
func writePairs(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"prompt": "ab%s", "chosen": "ba%s", "rejected": "a"}`+"\n", strings.Repeat("b", i%3), strings.Repeat("ab", 1+i%4))
	}
	path := filepath.Join(t.TempDir(), "pairs.jsonl")
	write(t, path, b.String())
	return path
}

// writeJudged writes a file of n completions, every other one desirable.
func writeJudged(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"prompt": "ab%s", "completion": "ba%s", "label": %t}`+"\n", strings.Repeat("b", i%3), strings.Repeat("ab", 1+i%4), i%2 == 0)
	}
	path := filepath.Join(t.TempDir(), "judged.jsonl")
	write(t, path, b.String())
	return path
}

// TestPreferenceRuns trains with each objective: the rows have TRL's keys, and the pictures and
// the card say what was trained. With each kind of reference a run halts half-way and resumes:
// the adapter has the bits of an uninterrupted run.
func TestPreferenceRuns(t *testing.T) {
	model, pairs, judged := writeModel(t), writePairs(t, 12), writeJudged(t, 12)
	for _, c := range []struct {
		objective string
		records   string
		keys      []string
		resumes   bool
		more      []string
	}{
		{"dpo", pairs, []string{"rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected"}, true, nil},
		{"dpo", pairs, []string{"rewards/margins"}, false, []string{"--loss_type", "sigmoid,sft", "--loss_weights", "1,0.2", "--ld_alpha", "0.5"}},
		{"kto", judged, []string{"rewards/chosen", "rewards/rejected", "rewards/margins", "kl"}, true, nil},
		{"kto", pairs, []string{"logps/chosen"}, false, []string{"--loss_type", "apo_zero_unpaired"}},
		{"orpo", pairs, []string{"nll_loss", "log_odds_ratio", "log_odds_chosen"}, true, nil},
		{"cpo", pairs, []string{"nll_loss", "rewards/margins"}, false, nil},
		{"simpo", pairs, []string{"rewards/margins"}, false, []string{"--simpo_gamma", "1"}},
		{"dpo", pairs, []string{"rewards/margins"}, true, []string{"--precompute_ref_log_probs", "--modules_to_save", "norm"}},
		{"kto", pairs, []string{"kl"}, false, []string{"--precompute_ref_log_probs", "--init_lora_weights", "pissa"}},
	} {
		t.Run(strings.Join(append([]string{c.objective}, c.more...), " "), func(t *testing.T) {
			train := func(out string, more ...string) string {
				args := append([]string{
					"train", "--objective", c.objective, "--model", model, "--dataset", c.records, "--eval_dataset", c.records, "--output_dir", out,
					"--lora_r", "4", "--learning_rate", "1e-2", "--lr_scheduler_type", "constant", "--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "2",
					"--logging_steps", "1", "--eval_strategy", "steps", "--eval_steps", "2", "--save_steps", "2", "--max_length", "32", "--device", "cpu",
				}, c.more...)
				code, _, stderr := run(t, append(args, more...)...)
				require.Zero(t, code, stderr)
				return stderr
			}
			whole, halved := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "halved")
			stderr := train(whole, "--max_steps", "4")
			assert.Contains(t, stderr, "  margin ")
			if c.resumes {
				train(halved, "--max_steps", "2")
				train(halved, "--max_steps", "4", "--resume_from_checkpoint")
				const weights = "adapter_model.safetensors"
				want, err := os.ReadFile(filepath.Join(whole, weights))
				require.NoError(t, err)
				got, err := os.ReadFile(filepath.Join(halved, weights))
				require.NoError(t, err)
				assert.True(t, bytes.Equal(want, got), "the resumed run's adapter differs")
			}

			logged, err := os.ReadFile(filepath.Join(whole, "metrics.jsonl"))
			require.NoError(t, err)
			seen := map[string]bool{}
			for line := range bytes.Lines(logged) {
				var row map[string]any
				require.NoError(t, json.Unmarshal(line, &row))
				for key := range row {
					seen[key] = true
				}
			}
			for _, key := range c.keys {
				assert.True(t, seen[key] && seen["eval_"+key], "metrics.jsonl has no %s, or no eval_%s", key, key)
			}
			assert.Equal(t, c.objective != "kto", seen["rewards/accuracies"], "rewards/accuracies")
			for _, picture := range []string{"loss.png", "rewards.png"} {
				assert.FileExists(t, filepath.Join(whole, picture))
			}
			card, err := os.ReadFile(filepath.Join(whole, "README.md"))
			require.NoError(t, err)
			for _, part := range []string{"| objective | " + c.objective + " |", "| beta | 0.1 |", "arxiv.org", "](rewards.png)"} {
				assert.Contains(t, string(card), part)
			}
		})
	}
}

// TestPreferenceRefusals gives train what the objectives refuse: each time a sentence that
// names the option, code 2, and no output folder.
func TestPreferenceRefusals(t *testing.T) {
	model, pairs, judged, texts := writeModel(t), writePairs(t, 4), writeJudged(t, 4), writeRecords(t, 4, 6)
	const dpo = "--objective dpo "
	for _, c := range []struct{ records, args, want string }{
		{pairs, "", "--objective dpo"},
		{judged, "", "--objective kto"},
		{texts, dpo, "preference pairs"},
		{judged, dpo, "preference pairs"},
		{texts, "--objective kto", "judged completion"},
		{pairs, "--objective dop", `--objective`},
		{pairs, dpo + "--loss_type sigmod", "did you mean sigmoid?"},
		{pairs, dpo + "--loss_type sigmoid,sigmoid", "twice"},
		{pairs, "--objective cpo --loss_type hinge,ipo", "one loss at a time"},
		{pairs, "--objective orpo --loss_type sigmoid", "--loss_type"},
		{pairs, dpo + "--pref_beta 0.1", "--beta"},
		{pairs, dpo + "--rl_beta 0.1", "--beta"},
		{pairs, dpo + "--dpo_beta 0.1", "--beta"},
		{pairs, dpo + "--rpo_alpha 0.1", "--loss_weights 1,WEIGHT"},
		{pairs, dpo + "--pref_ftx 0.1", "--loss_weights 1,WEIGHT"},
		{pairs, dpo + "--max_prompt_length 8", "--max_length"},
		{pairs, dpo + "--dpo_label_smoothing 0.1", "--label_smoothing"},
		{pairs, dpo + "--label_smoothing 0.1", "--label_smoothing is 0.1, but it has no effect with --objective dpo and --loss_type sigmoid"},
		{pairs, dpo + "--discopop_tau 0.1", ", but it has no effect"},
		{pairs, dpo + "--cpo_alpha 0.5", ", but it has no effect"},
		{pairs, "--objective orpo --ld_alpha 0.5", ", but it has no effect"},
		{texts, "--beta 0.2", "--beta is 0.2, but it has no effect with --objective sft"},
		{texts, "--loss_type sigmoid", "--loss_type is \"sigmoid\", but it has no effect with --objective sft"},
		{pairs, dpo + "--loss_weights 1,2", "as many as losses"},
		{pairs, dpo + "--loss_weights x", `"x" is not a number`},
		{pairs, dpo + "--beta 0", "--beta"},
		{pairs, dpo + "--beta -1", "--beta"},
		{pairs, dpo + "--loss_type exo_pair", "--label_smoothing above 0"},
		{pairs, dpo + "--loss_type robust --label_smoothing 0.5", "less than 0.5"},
		{pairs, dpo + "--ld_alpha 1.5", "from 0 to 1"},
		{pairs, dpo + "--packing --max_length 16", "--packing"},
		{pairs, dpo + "--neftune_noise_alpha 5", "--neftune_noise_alpha"},
		{pairs, dpo + "--bias all", "--bias is all, but the reference of --objective dpo is the model as the run begins, and trained biases cannot be taken off: add --precompute_ref_log_probs"},
		{pairs, dpo + "--method full", "add --precompute_ref_log_probs"},
		{pairs, dpo + "--modules_to_save lm_head", "add --precompute_ref_log_probs"},
		{pairs, "--objective orpo --precompute_ref_log_probs", ", but it has no effect"},
		{judged, "--objective kto --per_device_train_batch_size 1", "--per_device_train_batch_size"},
		{judged, "--objective kto --train_sampling_strategy random", "--train_sampling_strategy"},
		{pairs, dpo + "--f_divergence_type js_divergence", "only reverse_kl is in this release"},
		{pairs, dpo + "--use_weighting", "not in this release"},
		{pairs, dpo + "--sync_ref_model", "not in this release"},
		{pairs, dpo + "--truncation_mode keep_end", "only keep_start is in this release"},
		{pairs, dpo + "--reward_model x", "reward models are not in this release"},
	} {
		t.Run(c.args, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, _, stderr := run(t, append([]string{"train", "--model", model, "--dataset", c.records, "--output_dir", out, "--device", "cpu"}, strings.Fields(c.args)...)...)
			assert.Equal(t, 2, code, stderr)
			assert.Contains(t, stderr, c.want)
			assert.NoDirExists(t, out)
		})
	}
}

// TestPreferencePreview shows a pair in both forms.
func TestPreferencePreview(t *testing.T) {
	model, pairs, judged := writeModel(t), writePairs(t, 3), writeJudged(t, 4)
	code, stdout, stderr := run(t, "preview", "--objective", "dpo", "--model", model, "--dataset", pairs, "--limit", "1")
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "─ chosen: ")
	assert.Contains(t, stdout, "─ rejected: ")
	assert.Contains(t, stdout, "chosen is the longer one in 100 % of the pairs")
	code, stdout, stderr = run(t, "preview", "--objective", "dpo", "--model", model, "--dataset", pairs, "--json")
	require.Zero(t, code, stderr)
	assert.Regexp(t, `^\{"prompt_ids":\[[\d,]+\],"chosen_ids":\[[\d,]+\],"rejected_ids":\[[\d,]+\]\}\n`, stdout)
	code, stdout, stderr = run(t, "preview", "--objective", "kto", "--per_device_train_batch_size", "2", "--model", model, "--dataset", judged, "--json")
	require.Zero(t, code, stderr)
	assert.Regexp(t, `^\{"prompt_ids":\[[\d,]+\],"completion_ids":\[[\d,]+\],"label":true,"KL_completion_ids":\[[\d,]+\]\}\n`, stdout)
}

// TestPreferenceEvaluation evaluates a tuned adapter against the base and against itself.
func TestPreferenceEvaluation(t *testing.T) {
	model, pairs := writeModel(t), writePairs(t, 6)
	out := filepath.Join(t.TempDir(), "out")
	code, _, stderr := run(t, "train", "--objective", "dpo", "--model", model, "--dataset", pairs, "--eval_dataset", pairs, "--output_dir", out, "--max_steps", "3",
		"--learning_rate", "1e-2", "--logging_steps", "1", "--per_device_train_batch_size", "2", "--eval_strategy", "steps", "--eval_steps", "3", "--device", "cpu")
	require.Zero(t, code, stderr)
	var state struct {
		History []map[string]float64 `json:"log_history"`
	}
	require.NoError(t, json.Unmarshal(read(t, out, "trainer_state.json"), &state))
	var logged map[string]float64
	for _, row := range state.History {
		if _, ok := row["eval_loss"]; ok {
			logged = row
		}
	}
	for _, c := range []struct {
		name string
		more []string
		want map[string]float64
	}{
		{"the base", nil, map[string]float64{"loss": logged["eval_loss"], "rewards/margins": logged["eval_rewards/margins"], "logps/chosen": logged["eval_logps/chosen"], "records": 6}},
		{"itself", []string{"--ref_adapter", out}, map[string]float64{"rewards/margins": 0, "logps/rejected": logged["eval_logps/rejected"], "records": 6}},
	} {
		args := append([]string{"eval", "--objective", "dpo", "--model", model, "--adapter", out, "--dataset", pairs, "--json", "--device", "cpu"}, c.more...)
		code, stdout, stderr := run(t, args...)
		require.Zero(t, code, stderr)
		var got map[string]float64
		require.NoError(t, json.Unmarshal([]byte(stdout), &got))
		for name, want := range c.want {
			assert.InDelta(t, want, got[name], 1e-4, "%s: %s", c.name, name)
		}
	}
	code, _, stderr = run(t, "eval", "--objective", "orpo", "--model", model, "--ref_adapter", out, "--dataset", pairs)
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "--ref_adapter is given, but --objective orpo has no reference")
}
