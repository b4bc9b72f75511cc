package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/trainer"
)

// FuzzMetrics checks that cutting a metrics.jsonl keeps whole rows up to the step,
// unchanged.
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

// TestMetricsKeepWholeRows checks that zeros left by a crash are cut, and overlong
// lines.
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
		path := filepath.Join(dir, MetricsFile)
		require.NoError(t, os.WriteFile(path, []byte(c.old), 0o644))
		m := newMetrics()
		require.NoError(t, m.Start(&trainer.Begin{OutputDir: dir, Step: 2}))
		require.NoError(t, m.Stop(nil, nil))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got), name)
	}
}
