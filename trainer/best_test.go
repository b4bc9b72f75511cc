package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
)

// worsening returns a run whose evaluations get worse from the second on: a learning
// rate that is too high.
func worsening(t *testing.T) Run {
	r := tinyRun(t)
	r.Args.LearningRate, r.Args.Schedule, r.Args.SaveSteps, r.Args.EvalSteps = 1, "constant", 1, 1
	return r
}

// TestBestCheckpointIsKept compares the results with those of the step whose evaluation
// was the best.
func TestBestCheckpointIsKept(t *testing.T) {
	yes := true
	all := worsening(t)
	require.NoError(t, train(t, t.Context(), all))
	losses := evalLosses(history(t, all.Args.OutputDir))
	lowest, highest := 0, 0
	for i, loss := range losses {
		if loss < losses[lowest] {
			lowest = i
		}
		if loss > losses[highest] {
			highest = i
		}
	}
	last := len(losses)
	require.Less(t, lowest+1, last, "%v", losses)
	weights := func(dir string) string {
		b, err := os.ReadFile(filepath.Join(dir, lora.WeightsFile))
		require.NoError(t, err)
		return string(b)
	}
	for name, c := range map[string]struct {
		change       func(*Args)
		best, result int // steps
		left         []int
	}{
		"limit 1":    {func(a *Args) { a.LoadBest, a.SaveTotalLimit = true, 1 }, lowest + 1, lowest + 1, []int{lowest + 1}},
		"eval_loss":  {func(a *Args) { a.LoadBest, a.BestMetric, a.SaveTotalLimit = true, "eval_loss", 2 }, lowest + 1, lowest + 1, []int{lowest + 1, last}},
		"not loaded": {func(a *Args) { a.BestMetric, a.SaveTotalLimit = "loss", 2 }, lowest + 1, last, []int{lowest + 1, last}},
		"greater":    {func(a *Args) { a.LoadBest, a.GreaterIsBetter, a.SaveTotalLimit = true, &yes, 1 }, highest + 1, highest + 1, []int{highest + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := worsening(t)
			c.change(&r.Args)
			require.NoError(t, train(t, t.Context(), r))
			s := history(t, r.Args.OutputDir)
			require.Equal(t, losses, evalLosses(s))
			require.Equal(t, losses[c.best-1], *s.BestMetric)
			require.Equal(t, c.best, *s.BestGlobalStep)
			require.Equal(t, CheckpointDir(r.Args.OutputDir, c.best), *s.BestModelCheckpoint)
			steps, err := checkpointSteps(r.Args.OutputDir)
			require.NoError(t, err)
			require.Equal(t, c.left, steps)
			require.True(t, weights(CheckpointDir(all.Args.OutputDir, c.result)) == weights(r.Args.OutputDir))

			// Interrupted twice, it ends with the same.
			again := worsening(t)
			c.change(&again.Args)
			for _, after := range []int{2, 5} {
				again = interrupted(t, again, after)
			}
			require.NoError(t, train(t, t.Context(), again))
			resumed := history(t, again.Args.OutputDir)
			require.Equal(t, s.BestMetric, resumed.BestMetric)
			require.Equal(t, s.BestGlobalStep, resumed.BestGlobalStep)
			require.True(t, weights(r.Args.OutputDir) == weights(again.Args.OutputDir))
		})
	}
	s := history(t, all.Args.OutputDir)
	require.Nil(t, s.BestMetric)
	require.Nil(t, s.BestModelCheckpoint)
}

func TestBestNeedsEvaluatedCheckpoints(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"the run never evaluates: set `eval_strategy`":       func(a *Args) { a.EvalStrategy = StrategyNo },
		"`eval_strategy` is steps and `save_strategy` is no": func(a *Args) { a.SaveStrategy = StrategyNo },
		"`save_steps` 3 is not a multiple of `eval_steps` 2": func(a *Args) { a.EvalSteps = 2 },
		"`save_steps` 3 is not a multiple of `eval_steps` 6": func(a *Args) { a.EvalSteps = 6 },
		"`save_steps` 0.5 is not a multiple of":              func(a *Args) { a.SaveSteps = 0.5 },
		"`metric_for_best_model` is \"accuracy\", but":       func(a *Args) { a.BestMetric = "accuracy" },
	} {
		a := tinyRun(t).Args
		a.LoadBest = true
		require.NoError(t, a.Validate())
		change(&a)
		require.ErrorContains(t, a.Validate(), want)
	}
	a := tinyRun(t).Args
	a.LoadBest, a.SaveSteps, a.EvalSteps = true, 0.6, 0.2
	require.NoError(t, a.Validate())
}
