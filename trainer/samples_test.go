package trainer

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tinyPrompts returns prompts that are longer with their completions than any record.
func tinyPrompts() *Prompts {
	return &Prompts{
		List:   []Prompt{{Text: "3 4", IDs: []int32{3, 4}, Expected: "5"}, {Text: "10", IDs: []int32{10}}},
		Tokens: 20,
		Decode: func(ids []int32) string { return strings.Trim(fmt.Sprint(ids), "[]") },
	}
}

// sampleRecorder keeps the samples of a run.
type sampleRecorder struct {
	NoOutput
	samples []Sample
}

func (r *sampleRecorder) Sampled(s []Sample) error {
	r.samples = append(r.samples, s...)
	return nil
}

// TestSamples checks that samples come with every evaluation and change nothing else,
// and that an interrupted and resumed run generates the same.
func TestSamples(t *testing.T) {
	plain := tinyRun(t)
	require.NoError(t, train(t, t.Context(), plain))

	whole, recorded := plain, new(sampleRecorder)
	whole.Args.OutputDir = filepath.Join(t.TempDir(), "out")
	whole.Prompts, whole.Outputs = tinyPrompts(), []Output{recorded}
	whole.Args.Recompute = "layer" // activations are fewest: generation's cache must be planned for
	require.NoError(t, train(t, t.Context(), whole))
	require.Equal(t, outcome(t, plain.Args.OutputDir), outcome(t, whole.Args.OutputDir))
	require.Len(t, recorded.samples, 6)
	for i, s := range recorded.samples {
		require.Equal(t, []int{3, 3, 6, 6, 8, 8}[i], s.Step)
		require.Len(t, strings.Fields(s.Completion), 20, "%+v", s)
	}
	require.Equal(t, "5", recorded.samples[0].Expected)

	r, resumed := whole, new(sampleRecorder)
	r.Args.OutputDir, r.Args.Resume = filepath.Join(t.TempDir(), "out"), ResumeNewest
	for _, after := range []int{2, 4, 6, 7} {
		ctx, cancel := context.WithCancel(t.Context())
		r.Outputs = []Output{resumed, &stopper{after: after, cancel: cancel}}
		require.ErrorIs(t, train(t, ctx, r), ErrInterrupted)
		cancel()
	}
	r.Outputs = []Output{resumed}
	require.NoError(t, train(t, t.Context(), r))
	require.Equal(t, recorded.samples, resumed.samples)
}

func TestSamplesThatCannotBe(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"samples are generated at evaluat": func(r *Run) { r.Args.EvalStrategy = StrategyNo },
		"`sample_tokens` is 0":             func(r *Run) { r.Prompts.Tokens = 0 },
		"prompt 2 for samples has no":      func(r *Run) { r.Prompts.List[1].IDs = nil },
		"prompt 1 for samples: token 0":    func(r *Run) { r.Prompts.List[0].IDs = []int32{96} },
		"the model has 64 positions: choo": func(r *Run) { r.Prompts.Tokens = 63 },
	} {
		r := tinyRun(t)
		r.Prompts = tinyPrompts()
		change(&r)
		_, err := New(r)
		require.ErrorContains(t, err, want)
	}
}
