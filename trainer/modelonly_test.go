package trainer

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSaveOnlyModel checks that checkpoints without the optimizer's state are like others
// but for resuming.
func TestSaveOnlyModel(t *testing.T) {
	whole := worsening(t)
	whole.Args.LoadBest, whole.Args.SaveTotalLimit = true, 2
	require.NoError(t, train(t, t.Context(), whole))

	r := worsening(t)
	r.Args.LoadBest, r.Args.SaveTotalLimit, r.Args.SaveOnlyModel = true, 2, true
	var notes []string
	r.Note = func(s string) { notes = append(notes, s) }
	require.NoError(t, train(t, t.Context(), r))
	require.Contains(t, notes, "`save_only_model`: no run can resume from the checkpoints of this one")
	require.True(t, weightsOf(t, whole.Args.OutputDir) == weightsOf(t, r.Args.OutputDir))
	steps, err := checkpointSteps(r.Args.OutputDir)
	require.NoError(t, err)
	require.NotEmpty(t, steps)
	last := CheckpointDir(r.Args.OutputDir, steps[len(steps)-1])
	for _, step := range steps {
		require.NoFileExists(t, filepath.Join(CheckpointDir(r.Args.OutputDir, step), optimizerFile))
	}
	for _, resume := range []string{ResumeNewest, last} {
		r.Args.Resume = resume
		_, err := New(r)
		require.EqualError(t, err, last+" was saved with `save_only_model`, so it has no optimizer state to resume from: begin another run from its weights, with it as `adapter`")
	}

	// An older checkpoint with the state is resumed from.
	r = interrupted(t, worsening(t), 3)
	r.Args.SaveOnlyModel = true
	r = interrupted(t, r, 5)
	notes, r.Args.LoadBest, r.Args.SaveOnlyModel = nil, false, false
	r.Note = func(s string) { notes = append(notes, s) }
	require.NoError(t, train(t, t.Context(), r))
	require.Contains(t, notes, "skipping a checkpoint: "+CheckpointDir(r.Args.OutputDir, 5)+" was saved with `save_only_model`, so it has no optimizer state to resume from")
	all := worsening(t)
	require.NoError(t, train(t, t.Context(), all))
	require.True(t, weightsOf(t, all.Args.OutputDir) == weightsOf(t, r.Args.OutputDir))
}
