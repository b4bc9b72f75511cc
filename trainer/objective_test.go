package trainer

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/trainer/dataset"
)

// pairsOf returns pairs of completions of 5 and 3 tokens after a prompt of 3.
func pairsOf(n, vocabulary int) []dataset.Example { return comparedOf(n, vocabulary, 5, 3) }

// comparedOf returns records of completions of the given lengths after a prompt of 3.
func comparedOf(n, vocabulary int, lengths ...int) []dataset.Example {
	var all []dataset.Example
	for i := range n {
		var e dataset.Example
		for side, length := range lengths {
			e.Starts = append(e.Starts, int32(len(e.IDs)))
			for t := range 3 + length {
				id := int32((7*i + 11*t*(side*min(t, 3)/3+1) + 3) % vocabulary)
				e.IDs = append(e.IDs, id)
				if t < 3 {
					id = dataset.Ignored
				}
				e.Labels = append(e.Labels, id)
			}
		}
		all = append(all, e)
	}
	return all
}

func TestObjectivesLearnPreferences(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  PreferenceArgs
		first float64 // loss of the first step, 0: not known
	}{
		{"dpo", PreferenceArgs{Objective: "dpo"}, math.Ln2},
		{"ipo", PreferenceArgs{Objective: "dpo", LossType: []string{"ipo"}}, 25},
		{"two losses", PreferenceArgs{Objective: "dpo", LossType: []string{"sigmoid", "bco_pair"}, LossWeights: []string{"0.5", "1"}}, 2.5 * math.Ln2},
		{"orpo", PreferenceArgs{Objective: "orpo"}, 0},
		{"cpo", PreferenceArgs{Objective: "cpo"}, 0},
		{"simpo", PreferenceArgs{Objective: "simpo"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tinyRun(t)
			set := c.args
			d := defaultPreferenceArgs()
			r.Args.PreferenceArgs = d
			r.Args.Objective, r.Args.LossType, r.Args.LossWeights = set.Objective, set.LossType, set.LossWeights
			r.Args.BatchSize, r.Args.Accumulation, r.Args.MaxSteps, r.Args.LoggingSteps, r.Args.LearningRate = 2, 2, 8, 1, 1e-2
			r.TrainSet = pairsOf(8, r.Base.Config.Vocabulary)
			r.EvalSet, r.Args.EvalStrategy = pairsOf(3, r.Base.Config.Vocabulary), StrategySteps
			run, err := New(r)
			require.NoError(t, err)
			require.NoError(t, run.Train(t.Context()))
			state, err := readState(filepath.Join(r.Args.OutputDir, stateFile))
			require.NoError(t, err)
			var rows []Record
			for _, row := range state.LogHistory {
				if row.Loss != nil {
					rows = append(rows, row)
				} else if row.EvalLoss != nil {
					require.Contains(t, row.Compared, "eval_rewards/margins")
				}
			}
			require.Len(t, rows, 8)
			first, last := rows[0], rows[7]
			if c.first != 0 {
				require.InDelta(t, c.first, float64(*first.Loss), 1e-4*c.first, "loss of the first step")
				require.InDelta(t, 0, float64(first.Compared["rewards/margins"]), 1e-5)
			}
			require.Less(t, float64(*last.Loss), float64(*first.Loss), "loss after 8 steps")
			require.Greater(t, float64(last.Compared["rewards/margins"]), float64(first.Compared["rewards/margins"]))
		})
	}
}
