package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// evaluatedSteps returns the steps after which a run evaluated.
func evaluatedSteps(t *testing.T, out string) []int {
	t.Helper()
	var state struct {
		History []struct {
			Step     int
			EvalLoss *float64 `json:"eval_loss"`
		} `json:"log_history"`
	}
	require.NoError(t, json.Unmarshal(read(t, out, "trainer_state.json"), &state))
	var steps []int
	for _, row := range state.History {
		if row.EvalLoss != nil {
			steps = append(steps, row.Step)
		}
	}
	return steps
}

// TestEvaluationWithoutAStrategy gives evaluation records as an option and as a split,
// and checks when the run evaluates: 20 records make 5 steps per epoch.
func TestEvaluationWithoutAStrategy(t *testing.T) {
	model, records, eval := writeModel(t), writeRecords(t, 20, 8), writeRecords(t, 3, 8)
	splits := t.TempDir()
	require.NoError(t, os.Link(records, filepath.Join(splits, "train.jsonl")))
	require.NoError(t, os.Link(eval, filepath.Join(splits, "validation.jsonl")))
	given := []string{"--dataset", records, "--eval_dataset", eval}
	for _, c := range []struct {
		name string
		args []string
		at   []int
		said string
	}{
		{"epochs", given, []int{5, 10}, "--eval_dataset: evaluated at the end of each epoch and of the run; --eval_strategy sets when"},
		{"max_steps", append(given, "--max_steps", "7"), []int{5, 7}, "evaluated at the end of each epoch and of the run"},
		{"splits", []string{"--dataset", splits}, []int{5, 10}, "the validation and test splits of " + splits + ": evaluated at the end of each epoch"},
		{"eval_steps", append(given, "--eval_steps", "4"), []int{4, 8, 10}, "--eval_dataset: evaluated every 4 steps and at the end; --eval_strategy sets when"},
		{"best", append(given, "--load_best_model_at_end", "--save_steps", "3"), []int{3, 6, 9, 10}, "--eval_dataset: evaluated every 3 steps and at the end"},
		{"best by default", append(given, "--load_best_model_at_end", "--early_stopping_patience", "1"), []int{5, 10}, "--eval_dataset: evaluated and saved at the end of each epoch and of the run"},
		{"stopping", append(given, "--early_stopping_patience", "3"), []int{5, 10}, "evaluated at the end of each epoch"},
		{"no", append(given, "--eval_strategy", "no"), nil, "--eval_dataset: never evaluated, because --eval_strategy is no"},
		{"no splits", []string{"--dataset", splits, "--eval_strategy", "no"}, nil, "never evaluated, because --eval_strategy is no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, _, stderr := run(t, append([]string{
				"train", "--model", model, "--output_dir", out, "--num_train_epochs", "2", "--per_device_train_batch_size", "4",
			}, c.args...)...)
			require.Zero(t, code, stderr)
			require.Contains(t, stderr, c.said)
			require.Equal(t, c.at, evaluatedSteps(t, out))
		})
	}
}

// TestKilledRunThatStopsEarly kills a run whose evaluations get worse, at random moments,
// until it has stopped early: the best checkpoint is left and is the result.
func TestKilledRunThatStopsEarly(t *testing.T) {
	model, records, eval := writeModel(t), writeRecords(t, 40, 8), writeRecords(t, 6, 8)
	args := func(out string) []string {
		return []string{
			"train", "--model", model, "--dataset", records, "--eval_dataset", eval, "--output_dir", out, "--resume_from_checkpoint",
			"--lora_r", "4", "--learning_rate", "0.3", "--lr_scheduler_type", "constant", "--num_train_epochs", "5", "--per_device_train_batch_size", "4",
			"--save_steps", "2", "--save_total_limit", "1", "--eval_steps", "2", "--load_best_model_at_end", "--early_stopping_patience", "3",
		}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	cmd := program(args(whole)...)
	output, err := cmd.CombinedOutput()
	length, stderr := cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), string(output)
	require.NoError(t, err, stderr)
	require.Contains(t, stderr, "of 50 (--early_stopping_patience): eval_loss has not improved in 3 evaluations")
	require.Contains(t, stderr, "loaded the best checkpoint, ")
	want := outcome(t, whole)

	seed := rand.Uint64()
	random, out, killed := rand.New(rand.NewPCG(seed, 0)), filepath.Join(t.TempDir(), "out"), 0
	for ended := false; !ended; {
		cmd := program(args(out)...)
		require.NoError(t, cmd.Start())
		ended = killAfter(cmd, time.Duration(random.Int64N(int64(length)))) == nil
		if killed++; killed > 200 {
			t.Fatalf("seed %d: the run does not end", seed)
		}
	}
	code, _, stderr := run(t, args(out)...) // the same command once more changes nothing
	require.Zero(t, code, stderr)
	got := outcome(t, out)
	require.Equal(t, want.files, got.files, "seed %d, killed %d times", seed, killed)
	require.Equal(t, want.history, got.history, "seed %d", seed)
	require.Equal(t, want.names, got.names, "seed %d", seed)
}
