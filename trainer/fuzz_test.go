package trainer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a checkpoint's manifest holds, only a folder with what it lists is
// taken for whole, and nothing outside the folder is read.
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

// A progress that passes is one that a run can be put to.
func FuzzProgress(f *testing.F) {
	f.Add([]byte(`{"version": 1, "step": 3, "micro_batch": 6, "draws": 20, "epoch_draws": 10, "pending_steps": 1, "pending_loss": 2.5}`))
	f.Add([]byte(`{"version": 1, "step": -1}`))
	f.Add([]byte(`{"version": 1, "draws": 18446744073709551615}`))
	f.Add([]byte(`{"version": 1, "step": 4, "pending_steps": 5}`))
	a := DefaultArgs()
	a.BatchSize, a.Epochs, a.GroupByLength = 2, 2, true
	records := tinyRecords(13)
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
			require.NotEmpty(t, newWindow(records, order, a.BatchSize, &l, p.Step%l.StepsInEpoch).batches)
		}
		again, err := p.encode()
		require.NoError(t, err)
		back, err := parseProgress(again)
		require.NoError(t, err)
		require.Equal(t, p.Step, back.Step)
		require.Equal(t, p.PendingLoss, back.PendingLoss)
	})
}

// A state that can be read can be written, and reads back as the same.
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
		require.NotPanics(t, func() { cardRows(s.LogHistory) })
	})
}

// What is kept of a metrics.jsonl is whole rows up to the step, as they were.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte("{\"step\": 1, \"loss\": 2.5}\n{\"step\": 3}\n{\"step\": 4}\n{\"step\": 2, \"tr"), 3)
	f.Add([]byte("{\"step\": 1}\n\x00\x00\x00\x00\n\x00\x00"), 3)
	f.Add(append(bytes.Repeat([]byte(" "), newMetrics().most), "{\"step\": 1}\n{\"step\": 2}\n"...), 3)
	f.Add([]byte("{\"step\": 1, \"train_runtime\": 1}\n\r\n{\"step\": 1}\r\n"), 3)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		var kept, again bytes.Buffer
		keep := func(to *bytes.Buffer, from []byte) {
			require.NoError(t, newMetrics().rows(bytes.NewReader(from), step, func(line []byte) error {
				to.Write(line)
				return nil
			}))
		}
		keep(&kept, b)
		for line := range bytes.Lines(kept.Bytes()) {
			var row struct{ Step int }
			require.NoError(t, json.Unmarshal(line, &row), "%q", line)
			require.LessOrEqual(t, row.Step, step)
			require.True(t, bytes.Contains(b, line))
		}
		keep(&again, kept.Bytes())
		require.Equal(t, kept.Bytes(), again.Bytes())
	})
}

// A crash may leave zeros where the last rows were, and no line is too long.
func TestMetricsKeepWholeRows(t *testing.T) {
	row := func(step string) string {
		return `{"epoch": 1.0, "loss": 2.5, "step": ` + step + `, "memory_bytes": 7}` + "\n"
	}
	for name, c := range map[string]struct{ old, want string }{
		"rows beyond":     {row("1") + row("2") + row("3"), row("1") + row("2")},
		"cut off":         {row("1") + row("2")[:20], row("1")},
		"zeros":           {row("1") + string(make([]byte, 4096)), row("1")},
		"zeros and a row": {row("1") + string(make([]byte, 4096)) + row("2") + row("2"), row("1") + row("2")},
		"a long line":     {row("1") + `{"step": 1, "x": "` + string(bytes.Repeat([]byte("x"), 1<<20)) + `"}` + "\n" + row("2"), row("1") + row("2")},
		"the end of a run": {
			row("1") + `{"step": 1, "train_runtime": 1.0}` + "\n", row("1"),
		},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, metricsFile)
		require.NoError(t, os.WriteFile(path, []byte(c.old), 0o644))
		m := newMetrics()
		require.NoError(t, m.Start(&Begin{OutputDir: dir, Step: 2}))
		require.NoError(t, m.Stop(nil, nil))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got), name)
	}
}
