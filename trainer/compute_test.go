package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
)

// openBFloat16 opens the CPU to compute in bfloat16.
func openBFloat16(t testing.TB) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Threads: 1, Compute: bindings.BF16})
	require.NoError(t, err)
	return dev
}

// TestContinuedCompute finds the compute type of the run that settings continue.
func TestContinuedCompute(t *testing.T) {
	r := interruptedRun(t, 5)
	fresh := filepath.Join(t.TempDir(), "none")
	checkpoint := CheckpointDir(r.Args.OutputDir, 5)
	for name, c := range map[string]struct {
		change func(*Args)
		want   string
	}{
		"the newest checkpoint": {func(*Args) {}, "float32"},
		"a checkpoint":          {func(a *Args) { a.OutputDir, a.Resume = fresh, checkpoint }, "float32"},
		"the same run again":    {func(a *Args) { a.Resume = "" }, "float32"},
		"another run":           {func(a *Args) { a.Resume, a.Overwrite = "", true }, ""},
		"a new folder":          {func(a *Args) { a.OutputDir = fresh }, ""},
		"no checkpoint":         {func(a *Args) { a.Resume = fresh }, ""},
	} {
		args := r.Args
		c.change(&args)
		assert.Equal(t, c.want, args.ContinuedCompute(), name)
	}
	require.NoError(t, os.Remove(filepath.Join(r.Args.OutputDir, runFile)))
	assert.Equal(t, "float32", r.Args.ContinuedCompute(), "a folder without a record")
}

// TestComputeTypeIsKept refuses to resume or repeat a run in another compute type.
func TestComputeTypeIsKept(t *testing.T) {
	r := interruptedRun(t, 5)
	r.Device = openBFloat16(t)
	const want = "it was made with `bnb_4bit_compute_dtype` float32 and this run has bfloat16"
	_, err := New(r)
	require.ErrorContains(t, err, want)
	require.ErrorContains(t, err, "checkpoint-5")
	r.Args.Resume = ""
	_, err = New(r)
	require.ErrorContains(t, err, want)

	// A checkpoint of before the CPU had two types resumes in either.
	made, err := readProgress(CheckpointDir(r.Args.OutputDir, 5))
	require.NoError(t, err)
	made.Identity.Compute = ""
	here, err := newIdentity(&r.Args, r.Base, r.TrainSet, r.Device.Info())
	require.NoError(t, err)
	require.NoError(t, here.differs(made.Identity))
}
