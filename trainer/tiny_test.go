package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/lora"
	"qlora/trainer/internal/tiny"
)

func openTiny(t testing.TB) *Base {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, tiny.WriteModel(dir))
	m, err := OpenBase(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	m.Name = "tiny"
	return m
}

// tinyRun returns a short QLoRA run with dropout, accumulation and a partial window.
func tinyRun(t testing.TB) Run {
	t.Helper()
	m := openTiny(t)
	m.LoadIn4Bit()
	m.ApplyLora(lora.Config{R: 4, Alpha: 8, Dropout: 0.1, Init: lora.InitDefault, Targets: lora.Targets{Names: []string{"q_proj", "v_proj", "down_proj"}}})
	a := DefaultArgs()
	a.OutputDir = filepath.Join(t.TempDir(), "out")
	a.BatchSize, a.Accumulation, a.Epochs, a.LearningRate = 2, 2, 2, 1e-2
	a.LoggingSteps, a.SaveSteps, a.EvalStrategy, a.EvalSteps = 2, 3, StrategySteps, 3
	dev, err := cpu.New(cpu.Options{Threads: 1})
	require.NoError(t, err)
	return Run{Base: m, Args: a, TrainSet: tiny.Records(13), EvalSet: tiny.Records(5), Device: dev}
}

// withoutRaces skips a test of one rank's kernels with -short: its goroutines are those of the tests on
// the CPU, and the race detector does not see what the emulator's threads do.
func withoutRaces(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("one rank on the emulator, without the race detector")
	}
}

// fewer returns every fourth case with -short: the race detector makes a run ten times
// as slow, and the same goroutines meet in each.
func fewer[T any](cases []T) []T {
	if !testing.Short() {
		return cases
	}
	var some []T
	for i := 0; i < len(cases); i += 4 {
		some = append(some, cases[i])
	}
	return some
}
