package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/trainer/internal/tiny"
)

// FuzzManifest checks that, whatever a manifest has, only a folder with the listed
// files is complete, and nothing outside the folder is read.
func FuzzManifest(f *testing.F) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	f.Add([]byte(`{"step": 1, "files": {"trainer_state.json": {"bytes": 0, "sha256": "` + empty + `"}, "training_progress.json": {"bytes": 0, "sha256": "` + empty +
		`"}, "optimizer.safetensors": {"bytes": 0, "sha256": "` + empty + `"}}}`))
	f.Add([]byte(`{"files": {"trainer_state.json": {}, "training_progress.json": {}, "optimizer.safetensors": {}, "../x": {}}}`))
	f.Add([]byte(`{"files": {"": {}, ".": {}, "..": {}, "/": {}, "a\u0000b": {}}}`))
	f.Add([]byte(`null`))
	dir := f.TempDir()
	for _, name := range []string{stateFile, progressFile, optimizerFile} {
		require.NoError(f, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	path := filepath.Join(dir, manifestFile)
	f.Fuzz(func(t *testing.T, b []byte) {
		require.NoError(t, os.WriteFile(path, b, 0o644))
		m, err := verify(dir)
		if err != nil {
			return
		}
		for name, want := range m.Files {
			content, err := os.ReadFile(dir + "/" + name)
			require.NoError(t, err)
			require.Equal(t, filepath.Base(name), name)
			require.EqualValues(t, want.Bytes, len(content))
		}
	})
}

// FuzzProgress checks that a run can be restored to any progress that passes check.
func FuzzProgress(f *testing.F) {
	f.Add([]byte(`{"version": 1, "step": 3, "micro_batch": 6, "draws": 20, "epoch_draws": 10, "pending_steps": 1, "pending_loss": 2.5}`))
	f.Add([]byte(`{"version": 1, "step": -1}`))
	f.Add([]byte(`{"version": 1, "draws": 18446744073709551615}`))
	f.Add([]byte(`{"version": 1, "step": 4, "pending_steps": 5}`))
	a := DefaultArgs()
	a.BatchSize, a.Epochs, a.GroupByLength = 2, 2, true
	records := tiny.Records(13)
	l := NewLength(&a, len(records))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseProgress(b)
		if err != nil || p.check(&l) != nil {
			return
		}
		o := newOrder(&a, records)
		o.restore(p.EpochDraws)
		order := o.begin(p.Step / l.StepsInEpoch)
		o.restore(p.Draws)
		if p.Step < l.Steps {
			require.NotEmpty(t, newWindow(nil, &a, recordSet{examples: records}, order, &l, p.Step%l.StepsInEpoch).batches)
		}
		again, err := p.encode()
		require.NoError(t, err)
		back, err := parseProgress(again)
		require.NoError(t, err)
		require.Equal(t, p.Step, back.Step)
		require.Equal(t, p.PendingLoss, back.PendingLoss)
	})
}

// FuzzState checks that a state that can be read can be written and reads back the
// same.
func FuzzState(f *testing.F) {
	golden, err := os.ReadFile("testdata/trainer_state.json")
	require.NoError(f, err)
	f.Add(golden)
	f.Add([]byte(`{"log_history": [{"step": 1, "loss": 1e308, "epoch": -0.0}, null]}`))
	f.Add([]byte(`{"log_history": [{"loss": 5e-324}], "stateful_callbacks": {"a": [1]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		back, err := parseState(s.Encode())
		require.NoError(t, err)
		require.Equal(t, s.LogHistory, back.LogHistory)
	})
}
