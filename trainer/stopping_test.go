package trainer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
)

// TestEarlyStoppingOfTrainer compares the best evaluation, the count of those that are
// not, and the end of the run with recorded ones.
func TestEarlyStoppingOfTrainer(t *testing.T) {
	var cases []struct {
		Metric    string
		Greater   *bool
		Patience  int
		Threshold float64
		Values    []float64
		Steps     []struct {
			Best              float64
			BestStep, Counter int
			Saves             bool
		}
		Callback any
	}
	readJSON(t, "testdata/stopping.json", &cases)
	require.NotEmpty(t, cases)
	for _, c := range cases {
		a := DefaultArgs()
		a.BestMetric, a.GreaterIsBetter, a.SaveStrategy, a.EvalStrategy = c.Metric, c.Greater, StrategyBest, StrategySteps
		a.EarlyStopping = EarlyStopping{c.Patience, c.Threshold}
		require.NoError(t, a.Validate())
		l := Length{Steps: len(c.Values) + 1}
		r := loop{Trainer: &Trainer{Run: Run{Args: a, Note: func(string) {}}, length: l}, state: newState(&a, l, new(cadence))}
		name := fmt.Sprintf("%+v", c)
		for i, want := range c.Steps {
			r.at.Step = i + 1
			r.countPatience(c.Values[i])
			require.Equal(t, want.Saves, r.compareBest(c.Values[i]), name)
			require.InDelta(t, want.Best, float64(*r.state.BestMetric), 0, name)
			require.Equal(t, want.BestStep, *r.state.BestGlobalStep, name)
			require.Equal(t, want.Counter, r.state.patienceCounter(), name)
			require.Equal(t, i == len(c.Steps)-1 && want.Counter >= c.Patience, r.stopped, name)
		}
		require.True(t, r.stopped || len(c.Steps) == len(c.Values), name)
		var state map[string]any
		require.NoError(t, json.Unmarshal(r.state.Encode(), &state))
		require.Equal(t, c.Callback, state["stateful_callbacks"].(map[string]any)["EarlyStoppingCallback"], name)
	}
}

// weightsOf returns the adapter of a folder.
func weightsOf(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, lora.WeightsFile))
	require.NoError(t, err)
	return string(b)
}

// TestStoppedRun stops a run whose evaluations get worse. Interrupted before and at the
// stop, it ends with the same files; a larger patience continues it.
func TestStoppedRun(t *testing.T) {
	all := worsening(t)
	require.NoError(t, train(t, t.Context(), all))
	losses := evalLosses(history(t, all.Args.OutputDir))
	best, stop := 0, 0
	for i, loss := range losses {
		if loss < losses[best] {
			best = i
		}
		if stop = i + 1; i-best == 2 {
			break
		}
	}
	require.Less(t, stop, len(losses), "%v", losses)
	best++
	for name, c := range map[string]struct {
		change func(*Args)
		result int // step
		left   []int
	}{
		"steps":           {func(*Args) {}, stop, sequence(1, stop)},
		"loaded":          {func(a *Args) { a.LoadBest, a.SaveTotalLimit = true, 1 }, best, []int{best}},
		"loaded, limit 2": {func(a *Args) { a.LoadBest, a.SaveTotalLimit = true, 2 }, best, []int{best, stop}},
		"save best":       {func(a *Args) { a.LoadBest, a.SaveStrategy, a.SaveTotalLimit = true, StrategyBest, 2 }, best, sequence(max(1, best-1), best)},
		"save no":         {func(a *Args) { a.SaveStrategy = StrategyNo }, stop, nil},
		"save epoch":      {func(a *Args) { a.SaveStrategy = StrategyEpoch }, stop, atEpochs(all, stop)},
	} {
		t.Run(name, func(t *testing.T) {
			r := worsening(t)
			r.Args.Patience = 2
			c.change(&r.Args)
			var notes []string
			r.Note = func(s string) { notes = append(notes, s) }
			require.NoError(t, train(t, t.Context(), r))
			require.Contains(t, notes, fmt.Sprintf("stopped early after step %d of %d (`early_stopping_patience`): eval_loss has not improved in 2 evaluations", stop, len(losses)))
			s := history(t, r.Args.OutputDir)
			require.Equal(t, stop, s.GlobalStep)
			require.Equal(t, losses[:stop], evalLosses(s))
			require.Equal(t, best, s.bestStepOr(best), "best_global_step")
			steps, err := checkpointSteps(r.Args.OutputDir)
			require.NoError(t, err)
			require.Equal(t, c.left, steps)
			require.True(t, weightsOf(t, CheckpointDir(all.Args.OutputDir, c.result)) == weightsOf(t, r.Args.OutputDir))

			again := worsening(t)
			again.Args.Patience = 2
			c.change(&again.Args)
			for after := 1; after < stop; after++ {
				again = interrupted(t, again, after)
			}
			require.NoError(t, train(t, t.Context(), again))
			require.True(t, weightsOf(t, r.Args.OutputDir) == weightsOf(t, again.Args.OutputDir))
			resumed := history(t, again.Args.OutputDir)
			require.Equal(t, s.BestMetric, resumed.BestMetric)
			require.Equal(t, s.StatefulCallbacks, resumed.StatefulCallbacks)
			require.Equal(t, s.LogHistory[len(s.LogHistory)-1].TrainLoss, resumed.LogHistory[len(s.LogHistory)-1].TrainLoss)
		})
	}

	r := worsening(t)
	r.Args.Patience = 2
	require.NoError(t, train(t, t.Context(), r))
	at := weightsOf(t, r.Args.OutputDir)
	r.Args.Resume = ResumeNewest
	require.NoError(t, train(t, t.Context(), r))
	require.True(t, at == weightsOf(t, r.Args.OutputDir), "a stopped run has no further steps")
	r.Args.Patience = 1000
	require.NoError(t, train(t, t.Context(), r))
	require.Equal(t, losses, evalLosses(history(t, r.Args.OutputDir)))
	require.True(t, weightsOf(t, all.Args.OutputDir) == weightsOf(t, r.Args.OutputDir))
}

// bestStepOr returns the step of the best evaluation, or other if the run saved nothing.
func (s *State) bestStepOr(other int) int {
	if s.BestGlobalStep == nil {
		return other
	}
	return *s.BestGlobalStep
}

func sequence(from, to int) []int {
	var all []int
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

// atEpochs returns the steps up to stop that end an epoch, and stop.
func atEpochs(r Run, stop int) []int {
	l := NewLength(&r.Args, len(r.TrainSet))
	all := slices.DeleteFunc(sequence(1, stop), func(step int) bool { return step%l.StepsInEpoch != 0 && step != stop })
	return all
}

// TestAccuracyAsMetric keeps the checkpoint with the highest accuracy.
func TestAccuracyAsMetric(t *testing.T) {
	r := worsening(t)
	r.Args.LoadBest, r.Args.BestMetric, r.Args.SaveTotalLimit = true, "mean_token_accuracy", 1
	require.NoError(t, train(t, t.Context(), r))
	s := history(t, r.Args.OutputDir)
	best, step := -1.0, 0
	for _, row := range s.LogHistory {
		if row.EvalAccuracy != nil && float64(*row.EvalAccuracy) > best {
			best, step = float64(*row.EvalAccuracy), row.Step
		}
	}
	require.Equal(t, best, float64(*s.BestMetric))
	require.Equal(t, step, *s.BestGlobalStep)
	require.InDelta(t, 0.5, best, 0.5)
}

func TestStoppingNeedsEvaluations(t *testing.T) {
	for want, change := range map[string]func(*Args){
		"`early_stopping_patience` is 2, but the run never evaluates":                     func(a *Args) { a.Patience, a.EvalStrategy = 2, StrategyNo },
		"`early_stopping_patience` is -1, but it must be from 0 to":                       func(a *Args) { a.Patience = -1 },
		"`early_stopping_threshold` is -1, but it must be":                                func(a *Args) { a.Patience, a.Threshold = 2, -1 },
		"`early_stopping_threshold` is 0.1, but it has no effect without `early_stopping": func(a *Args) { a.Threshold = 0.1 },
		"`save_strategy` is \"best\", but the run never evaluates":                        func(a *Args) { a.SaveStrategy, a.EvalStrategy = StrategyBest, StrategyNo },
		"`eval_strategy` is \"best\", but it can be steps, epoch or no":                   func(a *Args) { a.EvalStrategy = StrategyBest },
	} {
		a := tinyRun(t).Args
		change(&a)
		require.ErrorContains(t, a.Validate(), want)
	}
}
