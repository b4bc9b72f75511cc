package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
