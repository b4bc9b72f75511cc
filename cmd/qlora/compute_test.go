package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestComputeType follows a run in bfloat16 from its first step to its adapter's use: what is
// written names the type, and it is kept where nothing else is asked for.
func TestComputeType(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 8, 6)
	out := filepath.Join(t.TempDir(), "out")
	train := func(args ...string) (int, string) {
		all := []string{"train", "--model", model, "--dataset", records, "--output_dir", out, "--device", "cpu", "--save_steps", "2", "--report_to", "none"}
		code, _, stderr := run(t, append(all, args...)...)
		return code, stderr
	}
	code, stderr := train("--max_steps", "2", "--bnb_4bit_compute_dtype", "torch.bfloat16")
	require.Zero(t, code, stderr)
	assert.Contains(t, stderr, "; computes in bfloat16\n")
	for file, want := range map[string]string{
		"run.yaml":          "\nbnb_4bit_compute_dtype: \"bfloat16\"\n",
		"README.md":         "| computed in | bfloat16 |",
		"training_run.json": `"bnb_4bit_compute_dtype": "bfloat16"`,
	} {
		assert.Contains(t, string(read(t, out, file)), want, file)
	}
	assert.Contains(t, string(read(t, out, "README.md")), "bnb_4bit_compute_dtype=torch.bfloat16\n")

	code, stderr = train("--max_steps", "4", "--resume_from_checkpoint")
	require.Zero(t, code, stderr)
	assert.Contains(t, stderr, "; computes in bfloat16 (as the run that it continues)\n")
	code, stderr = train("--max_steps", "6", "--resume_from_checkpoint", "--bf16", "false")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "it was made with --bnb_4bit_compute_dtype bfloat16 and this run has float32")

	evaluated := func(args ...string) (loss float64, stderr string) {
		all := []string{"eval", "--model", model, "--adapter", out, "--dataset", records, "--device", "cpu", "--json"}
		code, stdout, stderr := run(t, append(all, args...)...)
		require.Zero(t, code, stderr)
		var result struct{ Loss float64 }
		require.NoError(t, json.Unmarshal([]byte(stdout), &result))
		return result.Loss, stderr
	}
	rounded, stderr := evaluated()
	assert.Contains(t, stderr, "; computes in bfloat16\n", "as the adapter was trained")
	exact, stderr := evaluated("--bnb_4bit_compute_dtype", "float32")
	assert.Contains(t, stderr, "; computes in float32\n")
	assert.NotEqual(t, exact, rounded)
	assert.InEpsilon(t, exact, rounded, 0.01)

	code, stdout, stderr := run(t, "generate", "--model", model, "--adapter", out, "--prompt", "ab", "--max_new_tokens", "3", "--device", "cpu")
	require.Zero(t, code, stderr)
	assert.NotEmpty(t, stdout)
	assert.Contains(t, stderr, "; computes in bfloat16\n")
}

// TestKernelsByName selects the CPU's kernels by the environment.
func TestKernelsByName(t *testing.T) {
	model := writeModel(t)
	with := func(kernels string) (int, string) {
		cmd := program("doctor")
		if kernels == "none" {
			cmd = program("generate", "--model", model, "--prompt", "ab", "--device", "cpu")
		}
		cmd.Env = append(cmd.Env, "QLORA_CPU_KERNELS="+kernels)
		out, _ := cmd.CombinedOutput() // the exit code is returned
		return cmd.ProcessState.ExitCode(), string(out)
	}
	code, out := with("portable")
	require.Zero(t, code, out)
	assert.Contains(t, out, "kernels: portable for float32, portable for bfloat16: selected by QLORA_CPU_KERNELS (")
	assert.Contains(t, out, "--bnb_4bit_compute_dtype auto computes in float32 (portable does not multiply bfloat16)")
	code, out = with("none")
	assert.Equal(t, 2, code)
	assert.Contains(t, out, `choose the CPU's kernels by QLORA_CPU_KERNELS: "none" is no family of kernels that this processor runs; it runs [`)
	assert.Equal(t, 1, strings.Count(out, "\n"), out)
}
