package trainer

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// rotated returns the checkpoints that Trainer leaves of a run that evaluates and saves
// after each step, if the best one so far follows from better: the newest and the best are
// protected, and with a limit of 1 only the best is left at the end.
func rotated(values []float64, limit int, better func(a, b float64) bool) (left []int, best int) {
	for i, v := range values {
		step := i + 1
		if best == 0 || better(v, values[best-1]) {
			best = step
		}
		left = append(left, step)
		keep := limit
		if best != step {
			keep = max(limit, 2)
		}
		for len(left) > keep {
			at := slices.IndexFunc(left, func(s int) bool { return s != best && s != step })
			left = slices.Delete(left, at, at+1)
		}
	}
	if limit == 1 {
		left = []int{best}
	}
	return left, best
}

// TestRotationAroundTheBest trains at rates whose best evaluation is the first, one in the
// middle and the last, with limits of 1 to 3 and both directions.
func TestRotationAroundTheBest(t *testing.T) {
	places := map[string]bool{}
	for _, rate := range []float64{1, 0.3, 0.1, 0.01} {
		whole := tinyRun(t)
		whole.Args.LearningRate, whole.Args.Schedule, whole.Args.SaveSteps, whole.Args.EvalSteps = rate, "constant", 1, 1
		require.NoError(t, train(t, t.Context(), whole))
		var losses []float64
		for _, loss := range evalLosses(history(t, whole.Args.OutputDir)) {
			losses = append(losses, float64(loss))
		}
		for _, greater := range []bool{false, true} {
			better := func(a, b float64) bool { return a < b != greater && a != b }
			for limit := 1; limit <= 3; limit++ {
				left, best := rotated(losses, limit, better)
				switch best {
				case 1:
					places["first"] = true
				case len(losses):
					places["last"] = true
				default:
					places["middle"] = true
				}
				name := fmt.Sprintf("rate %v, greater %t, limit %d", rate, greater, limit)
				r := tinyRun(t)
				r.Args.LearningRate, r.Args.Schedule, r.Args.SaveSteps, r.Args.EvalSteps = rate, "constant", 1, 1
				r.Args.LoadBest, r.Args.SaveTotalLimit, r.Args.GreaterIsBetter = true, limit, &greater
				require.NoError(t, train(t, t.Context(), r))
				got, err := checkpointSteps(r.Args.OutputDir)
				require.NoError(t, err)
				require.Equal(t, left, got, name)
				require.Equal(t, best, *history(t, r.Args.OutputDir).BestGlobalStep, name)
				require.True(t, weightsOf(t, CheckpointDir(whole.Args.OutputDir, best)) == weightsOf(t, r.Args.OutputDir), name)
			}
		}
	}
	require.Len(t, places, 3, "the rates do not have all places of the best: %v", places)
}
