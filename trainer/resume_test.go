package trainer

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/lora"
	"qlora/nf4"
	"qlora/trainer/internal/tiny"
)

// interruptedRun returns a run that was stopped after a step.
func interruptedRun(t *testing.T, after int) Run {
	t.Helper()
	return interrupted(t, tinyRun(t), after)
}

func interrupted(t *testing.T, r Run, after int) Run {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.Outputs = []Output{&stopper{after: after, cancel: cancel}}
	require.ErrorIs(t, train(t, ctx, r), ErrInterrupted)
	r.Outputs, r.Args.Resume = nil, ResumeNewest
	return r
}

func TestResumingNeedsTheSameRun(t *testing.T) {
	r := interruptedRun(t, 5)
	for want, change := range map[string]func(*Run){
		"`seed` 42 and this run has 43":                   func(r *Run) { r.Args.Seed = 43 },
		"`per_device_train_batch_size` 2":                 func(r *Run) { r.Args.BatchSize = 4 },
		"`gradient_accumulation_steps` 2":                 func(r *Run) { r.Args.Accumulation = 1 },
		"`train_sampling_strategy` random":                func(r *Run) { r.Args.SamplingStrategy = OrderSequential },
		"`method` qlora and this run has lora":            func(r *Run) { r.Base.Quantize = nil },
		"4-bit quantization":                              func(r *Run) { r.Base.Quantize = &bindings.QuantizeOptions{Kind: nf4.FP4, BlockSize: 64} },
		"other records":                                   func(r *Run) { r.TrainSet = tiny.Records(14) },
		"another base than this run's `model`":            func(r *Run) { r.Base.Weights = openChanged(t).Weights },
		"`lora_r`?":                                       func(r *Run) { r.Base.Lora.R = 8 },
		`no tensor "model.layers.0.mlp.gate_proj`:         func(r *Run) { r.Base.Lora.Targets = lora.ParseTargets("q_proj,gate_proj") },
		"24 tensors of parameters":                        func(r *Run) { r.Base.Lora.Targets = lora.ParseTargets("q_proj") },
		"`optim` adamw_torch and this run has adamw_8bit": func(r *Run) { r.Args.Optimizer = adamw8Bit },
		"and this run has sgd with momentum":              func(r *Run) { r.Args.Optimizer, r.Args.OptimArgs = sgd, "momentum=0.5" },
		"5 steps in, but the run has only 4":              func(r *Run) { r.Args.MaxSteps = 4 },
	} {
		changed := r
		model, config := *r.Base, *r.Base.Lora
		changed.Base, model.Lora = &model, &config
		change(&changed)
		_, err := New(changed)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "checkpoint-5")
	}
	_, err := New(r)
	require.NoError(t, err)
}

// openChanged returns the tiny model with one weight changed.
func openChanged(t *testing.T) *Base {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, tiny.WriteModel(dir))
	path := filepath.Join(dir, "model.safetensors")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b[len(b)-1] ^= 1 // of a tensor's end
	require.NoError(t, os.WriteFile(path, b, 0o644))
	m, err := OpenBase(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestResumingSaysWhatChanged(t *testing.T) {
	r := interruptedRun(t, 5)
	var notes []string
	r.Note = func(s string) { notes = append(notes, s) }
	_, err := New(r)
	require.NoError(t, err)
	require.Empty(t, notes)

	config := *r.Base.Lora
	config.Alpha = 32
	r.Base.Lora = &config
	r.Args.LearningRate, r.Args.Schedule = 2e-2, "cosine"
	_, err = New(r)
	require.NoError(t, err)
	require.Equal(t, []string{
		"`learning_rate` is now 0.02; the checkpoint has 0.01",
		"`lora_alpha` is now 32; the checkpoint has 8",
		"`lr_scheduler_type` is now cosine; the checkpoint has linear",
	}, notes)
}

// TestInterruptedEvaluationComesAgain resumes a run that was stopped during an
// evaluation: it repeats the evaluation.
func TestInterruptedEvaluationComesAgain(t *testing.T) {
	whole := tinyRun(t)
	whole.Args.GroupByLength = true // its order depends on the number of evaluations
	whole.Args.EvalBatchSize = 1
	require.NoError(t, train(t, t.Context(), whole))
	want := outcome(t, whole.Args.OutputDir)

	r := whole
	r.Args.OutputDir, r.Args.Resume = filepath.Join(t.TempDir(), "out"), ResumeNewest
	ctx, cancel := context.WithCancel(t.Context())
	stopping := &evaluationStopper{Device: r.Device, after: 2, cancel: cancel}
	r.Device = stopping
	require.ErrorIs(t, train(t, ctx, r), ErrInterrupted)
	require.Equal(t, 0, stopping.after)
	p, err := readProgress(CheckpointDir(r.Args.OutputDir, 3))
	require.NoError(t, err)
	require.True(t, p.EvaluationDue)

	r.Device = whole.Device
	require.NoError(t, train(t, t.Context(), r))
	got := outcome(t, r.Args.OutputDir)
	require.Equal(t, want[stateFile], got[stateFile])
	for name := range want {
		require.True(t, want[name] == got[name], "%s differs from the uninterrupted run's", name)
	}
}

// evaluationStopper cancels a run at a HeadLoss without a gradient, which is within an
// evaluation.
type evaluationStopper struct {
	bindings.Device
	after  int
	cancel func()
}

func (d *evaluationStopper) Run(op bindings.Operation) {
	if loss, ok := op.(*bindings.HeadLoss); ok && loss.DX.Absent() && d.after > 0 {
		if d.after--; d.after == 0 {
			d.cancel()
		}
	}
	d.Device.Run(op)
}

// TestStartsFromAnAdapter starts a run from the adapter of another run.
func TestStartsFromAnAdapter(t *testing.T) {
	first := tinyRun(t)
	require.NoError(t, train(t, t.Context(), first))
	last := evalLosses(history(t, first.Args.OutputDir))

	r := first
	model := *first.Base
	r.Base = &model
	model.Adapter = first.Args.OutputDir
	r.Args.OutputDir, r.Args.LearningRate, r.Args.MaxSteps, r.Args.EvalSteps = filepath.Join(t.TempDir(), "out"), 0, 1, 1
	require.NoError(t, train(t, t.Context(), r))
	require.Equal(t, last[len(last)-1:], evalLosses(history(t, r.Args.OutputDir)), "without a step it is the adapter that it started from")

	// A missing file of the adapter's folder is found before anything is written.
	require.NoError(t, os.Remove(filepath.Join(model.Adapter, lora.WeightsFile)))
	r.Args.OutputDir = filepath.Join(t.TempDir(), "none")
	_, err := New(r)
	require.ErrorContains(t, err, lora.WeightsFile)
	require.NoDirExists(t, r.Args.OutputDir)
}

func evalLosses(s *State) []Number {
	var losses []Number
	for _, row := range s.LogHistory {
		if row.EvalLoss != nil {
			losses = append(losses, *row.EvalLoss)
		}
	}
	return losses
}

// TestMadeUpProgressIsRefused checks that invalid progress is refused even if its
// hashes are right.
func TestMadeUpProgressIsRefused(t *testing.T) {
	for _, change := range []string{`"step": 5`, `"pending_steps": 1`, `"draws": 0`, `"tokens": `, `"version": 1`} {
		r := interruptedRun(t, 5)
		dir := CheckpointDir(r.Args.OutputDir, 5)
		path := filepath.Join(dir, progressFile)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		made := strings.Replace(string(b), change, strings.Replace(change, ": ", ": -9", 1), 1)
		require.NotEqual(t, string(b), made)
		require.NoError(t, os.WriteFile(path, []byte(made), 0o644))
		require.NoError(t, os.Remove(filepath.Join(dir, manifestFile)))
		require.NoError(t, seal(dir, 5))
		_, err = New(r)
		require.ErrorContains(t, err, progressFile, change)
	}
}

// TestDivergedEvaluationStops checks that an evaluation that is not finite stops the
// run and logs no row, which JSON could not represent.
func TestDivergedEvaluationStops(t *testing.T) {
	r := tinyRun(t)
	recorded := new(rowRecorder)
	r.Device, r.Outputs = &poisonedEvaluation{r.Device}, []Output{recorded}
	err := train(t, t.Context(), r)
	require.ErrorContains(t, err, "step 3: the evaluation loss is NaN, so training stopped")
	for _, row := range recorded.rows {
		require.Nil(t, row.EvalLoss)
	}
}

// rowRecorder keeps the rows of a run.
type rowRecorder struct {
	NoOutput
	rows []Row
}

func (r *rowRecorder) Log(row Row) error {
	r.rows = append(r.rows, row)
	return nil
}

// poisonedEvaluation makes the loss of every evaluation NaN by its scale.
type poisonedEvaluation struct{ bindings.Device }

func (d *poisonedEvaluation) Run(op bindings.Operation) {
	if loss, ok := op.(*bindings.HeadLoss); ok && loss.DX.Absent() {
		poisoned := *loss
		poisoned.Scale = float32(math.NaN())
		op = &poisoned
	}
	d.Device.Run(op)
}
