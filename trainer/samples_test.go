package trainer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tinySampling has prompts that are longer with their completions than any record.
func tinySampling() *Sampling {
	return &Sampling{
		Prompts: []Prompt{{Text: "3 4", IDs: []int32{3, 4}, Expected: "5"}, {Text: "10", IDs: []int32{10}}},
		Tokens:  20,
		Decode:  func(ids []int32) string { return strings.Trim(fmt.Sprint(ids), "[]") },
	}
}

// Samples come with every evaluation and change nothing else; an interrupted and
// resumed run has each once.
func TestSamples(t *testing.T) {
	plain := tinyRun(t)
	require.NoError(t, train(t, t.Context(), plain))
	require.NoFileExists(t, filepath.Join(plain.Args.OutputDir, samplesFile))

	whole := plain
	whole.Args.OutputDir = filepath.Join(t.TempDir(), "out")
	whole.Samples = tinySampling()
	whole.Args.Recompute = "layer" // activations are fewest: generation's cache must be planned for
	require.NoError(t, train(t, t.Context(), whole))
	require.Equal(t, outcome(t, plain.Args.OutputDir), outcome(t, whole.Args.OutputDir))
	want, err := samplesBefore(whole.Args.OutputDir, 8)
	require.NoError(t, err)
	require.Len(t, want, 6)
	for i, s := range want {
		require.Equal(t, []int{3, 3, 6, 6, 8, 8}[i], s.Step)
		require.Len(t, strings.Fields(s.Completion), 20, "%+v", s)
	}
	require.Equal(t, "5", want[0].Expected)

	r := whole
	r.Args.OutputDir, r.Args.Resume = filepath.Join(t.TempDir(), "out"), ResumeNewest
	for _, after := range []int{2, 4, 6, 7} {
		ctx, cancel := context.WithCancel(t.Context())
		r.Outputs = []Output{&stopper{after: after, cancel: cancel}}
		require.ErrorIs(t, train(t, ctx, r), ErrInterrupted)
		cancel()
	}
	recorder := new(beginRecorder)
	r.Outputs = []Output{recorder}
	require.NoError(t, train(t, t.Context(), r))
	files := func(dir string) string {
		b, err := os.ReadFile(filepath.Join(dir, samplesFile))
		require.NoError(t, err)
		return string(b)
	}
	require.Equal(t, files(whole.Args.OutputDir), files(r.Args.OutputDir))
	require.Equal(t, 7, recorder.begin.Step)
	require.Equal(t, want[:4], recorder.begin.Samples)
	require.Len(t, recorder.begin.Rows, 5)
	require.Positive(t, *recorder.begin.Rows[0].TokensPerSecond, "what metrics.jsonl has is known after resuming too")
}

// beginRecorder keeps what a run begins with.
type beginRecorder struct {
	NoOutput
	begin *Begin
}

func (r *beginRecorder) Start(b *Begin) error { r.begin = b; return nil }

func TestSamplesThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"--eval_strategy is":              func(r *Run) { r.Args.EvalStrategy = strategyNo },
		"--sample_tokens is 0":            func(r *Run) { r.Samples.Tokens = 0 },
		"prompt 2 for samples has no":     func(r *Run) { r.Samples.Prompts[1].IDs = nil },
		"prompt 1 for samples has token":  func(r *Run) { r.Samples.Prompts[0].IDs = []int32{96} },
		"the model was made for 64: choo": func(r *Run) { r.Samples.Tokens = 63 },
	} {
		r := tinyRun(t)
		r.Samples = tinySampling()
		change(&r)
		_, err := New(r)
		require.ErrorContains(t, err, want)
	}
}
