package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLoftQFromTheCommandLine plans, trains and evaluates: the result is evaluated as
// it was trained, in 4 bits, and can be merged into 16 bits.
func TestLoftQFromTheCommandLine(t *testing.T) {
	model, records, out := writeModel(t), writeRecords(t, 6, 12), filepath.Join(t.TempDir(), "out")
	settings := []string{
		"--model", model, "--dataset", records, "--output_dir", out, "--max_steps", "3", "--eval_dataset", records, "--eval_strategy", "steps",
		"--init_lora_weights", "loftq", "--loftq_iter", "2", "--lora_r", "4", "--rank_pattern", `{"down_proj": 2}`,
	}
	code, stdout, stderr := run(t, append([]string{"plan"}, settings...)...)
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "before the first step")

	code, _, stderr = run(t, append([]string{"train"}, settings...)...)
	require.Zero(t, code, stderr)
	var state struct {
		Log []struct {
			EvalLoss float64 `json:"eval_loss"`
		} `json:"log_history"`
	}
	require.NoError(t, json.Unmarshal(read(t, out, "trainer_state.json"), &state))
	trained := 0.0
	for _, row := range state.Log {
		trained = max(trained, row.EvalLoss)
	}
	require.NotZero(t, trained)

	var tuned struct{ Loss float64 }
	code, stdout, stderr = run(t, "eval", "--model", model, "--adapter", out, "--dataset", records, "--json")
	require.Zero(t, code, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &tuned))
	assert.InEpsilon(t, trained, tuned.Loss, 1e-6, "one batch: both means are the same")

	merged := filepath.Join(t.TempDir(), "merged")
	code, _, stderr = run(t, "merge", "--model", model, "--adapter", out, "--output_dir", merged)
	require.Zero(t, code, stderr)
}
