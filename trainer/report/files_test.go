package report

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/lora"
	"qlora/trainer"
	"qlora/trainer/internal/tiny"
)

// tinyRun returns a short QLoRA run with dropout, accumulation and a partial window.
func tinyRun(t testing.TB) trainer.Run {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, tiny.WriteModel(dir))
	m, err := trainer.OpenBase(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	m.Name = "tiny"
	m.LoadIn4Bit()
	m.ApplyLora(lora.Config{R: 4, Alpha: 8, Dropout: 0.1, Init: lora.InitDefault, Targets: lora.Targets{Names: []string{"q_proj", "v_proj", "down_proj"}}})
	a := trainer.DefaultArgs()
	a.OutputDir = filepath.Join(t.TempDir(), "out")
	a.BatchSize, a.Accumulation, a.Epochs, a.LearningRate = 2, 2, 2, 1e-2
	a.LoggingSteps, a.SaveSteps, a.EvalStrategy, a.EvalSteps = 2, 3, trainer.StrategySteps, 3
	dev, err := cpu.New(cpu.Options{Threads: 1})
	require.NoError(t, err)
	return trainer.Run{Base: m, Args: a, TrainSet: tiny.Records(13), EvalSet: tiny.Records(5), Device: dev}
}

// tinyPrompts returns prompts that are longer with their completions than any record.
func tinyPrompts() *trainer.Prompts {
	return &trainer.Prompts{
		List:   []trainer.Prompt{{Text: "3 4", IDs: []int32{3, 4}, Expected: "5"}, {Text: "10", IDs: []int32{10}}},
		Tokens: 20,
		Decode: func(ids []int32) string { return strings.Trim(fmt.Sprint(ids), "[]") },
	}
}

// train trains with the outputs of Files, followed by those of r.
func train(t *testing.T, ctx context.Context, r trainer.Run) error {
	t.Helper()
	r.Outputs = append(Files(&r.Args), r.Outputs...)
	tr, err := trainer.New(r)
	require.NoError(t, err)
	return tr.Train(ctx)
}

// stopper cancels a run after a step.
type stopper struct {
	trainer.NoOutput
	after  int
	cancel func()
}

func (s *stopper) Step(p trainer.StepDone) {
	if p.Step == s.after {
		s.cancel()
	}
}

// interrupt stops a run after a step.
func interrupt(t *testing.T, r trainer.Run, after int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.Outputs = []trainer.Output{&stopper{after: after, cancel: cancel}}
	require.ErrorIs(t, train(t, ctx, r), trainer.ErrInterrupted)
}

// history reads trainer_state.json.
func history(t *testing.T, dir string) *trainer.State {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "trainer_state.json"))
	require.NoError(t, err)
	s := new(trainer.State)
	require.NoError(t, json.Unmarshal(b, s))
	return s
}

// number returns a value of a row.
func number(x float64) *trainer.Number { n := trainer.Number(x); return &n }

func metricsRows(t *testing.T, dir string) (rows []trainer.Row) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		var row trainer.Row
		require.NoError(t, json.Unmarshal([]byte(line), &row))
		rows = append(rows, row)
	}
	return rows
}

// TestFilesChangeNothingElse checks that the report files do not affect training, and
// that without them a run writes none.
func TestFilesChangeNothingElse(t *testing.T) {
	names := []string{CardFile, MetricsFile, lossFile, "runs"}
	with := tinyRun(t)
	require.NoError(t, train(t, t.Context(), with))
	without := with
	without.Args.OutputDir = filepath.Join(t.TempDir(), "out")
	tr, err := trainer.New(without)
	require.NoError(t, err)
	require.NoError(t, tr.Train(t.Context()))
	for _, name := range names {
		_, err := os.Stat(filepath.Join(with.Args.OutputDir, name))
		require.NoError(t, err)
		_, err = os.Stat(filepath.Join(without.Args.OutputDir, name))
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	adapter := func(r trainer.Run) []byte {
		b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, lora.WeightsFile))
		require.NoError(t, err)
		return b
	}
	require.Equal(t, adapter(with), adapter(without))
}

// TestInterruptedRunHasEachRowOnce checks that a run interrupted after any step has each
// row once, and the model card of an uninterrupted run.
func TestInterruptedRunHasEachRowOnce(t *testing.T) {
	whole := tinyRun(t)
	require.NoError(t, train(t, t.Context(), whole))
	r := whole
	r.Args.OutputDir, r.Args.Resume = filepath.Join(t.TempDir(), "out"), trainer.ResumeNewest
	for after := 1; after < 8; after++ {
		interrupt(t, r, after)
		require.NoFileExists(t, filepath.Join(r.Args.OutputDir, CardFile))
	}
	require.NoError(t, train(t, t.Context(), r))
	rows, s := metricsRows(t, r.Args.OutputDir), history(t, r.Args.OutputDir)
	require.Len(t, rows, len(s.LogHistory))
	for i, row := range rows {
		require.Equal(t, s.LogHistory[i], row.Record)
		require.Positive(t, row.MemoryBytes)
	}
	card := func(r trainer.Run) string {
		b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, CardFile))
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, card(whole), card(r))
}
