package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/trainer"
)

// beginRecorder records the argument of Start.
type beginRecorder struct {
	trainer.NoOutput
	begin *trainer.Begin
}

func (r *beginRecorder) Start(b *trainer.Begin) error { r.begin = b; return nil }

// TestSamplesAreThereOnce checks that an interrupted and resumed run has each sample
// once, and finds its earlier ones.
func TestSamplesAreThereOnce(t *testing.T) {
	plain := tinyRun(t)
	require.NoError(t, train(t, t.Context(), plain))
	require.NoFileExists(t, filepath.Join(plain.Args.OutputDir, SamplesFile))

	whole := plain
	whole.Args.OutputDir = filepath.Join(t.TempDir(), "out")
	whole.Prompts = tinyPrompts()
	require.NoError(t, train(t, t.Context(), whole))
	want, err := Samples(&trainer.Begin{OutputDir: whole.Args.OutputDir, Step: 8})
	require.NoError(t, err)
	require.Len(t, want, 6)
	require.Equal(t, "5", want[0].Expected)

	r := whole
	r.Args.OutputDir, r.Args.Resume = filepath.Join(t.TempDir(), "out"), trainer.ResumeNewest
	for _, after := range []int{2, 4, 6, 7} {
		interrupt(t, r, after)
	}
	recorder := new(beginRecorder)
	r.Outputs = []trainer.Output{recorder}
	ended := history(t, filepath.Join(r.Args.OutputDir, "checkpoint-7"))
	require.NoError(t, train(t, t.Context(), r))
	files := func(dir string) string {
		b, err := os.ReadFile(filepath.Join(dir, SamplesFile))
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, files(whole.Args.OutputDir), files(r.Args.OutputDir))
	require.Equal(t, 7, recorder.begin.Step)
	before := *recorder.begin
	before.State = ended
	samples, err := Samples(&before)
	require.NoError(t, err)
	require.Equal(t, want[:4], samples)
	rows, err := Rows(&before)
	require.NoError(t, err)
	require.Len(t, rows, 5)
	require.Positive(t, *rows[0].TokensPerSecond, "what metrics.jsonl has is known after resuming too")
}
