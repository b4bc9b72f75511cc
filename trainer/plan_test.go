package trainer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
)

// A micro-batch that is smaller than another in every respect decides nothing.
func TestFrontKeepsWhatNothingExceeds(t *testing.T) {
	examples := recordsOf(10, 2, 2, 2, 7, 7, 1)
	var f front
	for _, indices := range [][]int{{1, 2}, {0}, {4, 5}, {1, 2, 3}, {6}, {0, 6}} {
		f.add(examples, indices)
	}
	var kept [][3]int
	for _, b := range f.batches() {
		kept = append(kept, [3]int{b.Tokens(), b.Longest(), b.Sequences()})
	}
	require.ElementsMatch(t, [][3]int{{14, 7, 2}, {6, 2, 3}, {11, 10, 2}}, kept)
}

func TestPlanIsWhatTheTrainerTakes(t *testing.T) {
	r := tinyRun(t)
	plan, err := NewPlan(r.Model, r.Args, r.TrainSet, r.EvalSet, nil, 0, cpu.Profile(), 0)
	require.NoError(t, err)
	tr, err := New(r)
	require.NoError(t, err)
	for category, bytes := range tr.Plan().Bytes {
		if category != "workspace" { // depends on the number of threads
			require.Equal(t, plan.Bytes[category], bytes, "%s", category)
		}
	}
	require.Equal(t, "none", plan.Recompute.String())
}

func TestRunThatDoesNotFitSaysWhatWould(t *testing.T) {
	r := tinyRun(t)
	r.Args.BatchSize, r.Args.Accumulation = 8, 1
	small := r.Args
	small.BatchSize, small.Accumulation, small.EvalBatchSize, small.Recompute = 2, 4, 2, "layer"
	fits, err := NewPlan(r.Model, small, r.TrainSet, r.EvalSet, nil, 0, r.Device, 0)
	require.NoError(t, err)

	r.MemoryLimit = fits.Bytes.Total()
	_, err = New(r)
	require.ErrorContains(t, err, "--recompute layer --per_device_train_batch_size 2 --gradient_accumulation_steps 4")
	r.MemoryLimit = 1000
	_, err = New(r)
	require.ErrorContains(t, err, "even one sequence at a time")
	require.NoDirExists(t, r.Args.OutputDir)
}
