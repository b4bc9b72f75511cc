package trainer

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/trainer/dataset"
)

// promptedOf returns pairs of completions of 7 and 4 tokens after a prompt of 24, of which
// all records have the first 10.
func promptedOf(n, vocabulary int) []dataset.Example {
	const prompt = 24
	var all []dataset.Example
	for i := range n {
		var e dataset.Example
		for side, length := range []int{7, 4} {
			e.Starts = append(e.Starts, int32(len(e.IDs)))
			for t := range prompt + length {
				id, label := int32((5*t+3)%vocabulary), int32(dataset.Ignored)
				switch {
				case t >= prompt:
					id = int32((7*i + 11*t + 13*side*t) % vocabulary)
					label = id
				case t >= 10:
					id = int32((7*i + 11*t) % vocabulary)
				}
				e.IDs, e.Labels = append(e.IDs, id), append(e.Labels, label)
			}
		}
		all = append(all, e)
	}
	return all
}

// TestSharedPromptsTrainTheSame trains with prompts that a micro-batch computes once, and with prompts that
// each completion computes. The rows agree within rounding, in float32, and count the same tokens; the memory
// for activations is that of the rows.
func TestSharedPromptsTrainTheSame(t *testing.T) {
	for _, objective := range fewer([]string{"dpo", "orpo", "cpo", "simpo", "kto"}) {
		t.Run(objective, func(t *testing.T) {
			run := func(share string) (*State, bindings.MemoryPlan, Run) {
				r := preferenceRun(t, objective)
				r.TrainSet, r.EvalSet = promptedOf(9, r.Base.Config.Vocabulary), promptedOf(3, r.Base.Config.Vocabulary)
				if objective == objectiveKTO.name {
					for _, set := range [][]dataset.Example{r.TrainSet, r.EvalSet} {
						for i := range set {
							set[i].Judgement = int8(1 - 2*(i%2))
						}
					}
				}
				r.Args.SharePrompts = share
				tr, err := New(r)
				require.NoError(t, err)
				require.NoError(t, tr.Train(t.Context()))
				return history(t, r.Args.OutputDir), tr.Plan().Bytes, r
			}
			got, plan, r := run(shareAuto)
			want, whole, _ := run(shareFalse)
			require.Equal(t, want.InputTokensSeen, got.InputTokensSeen, "num_input_tokens_seen")
			require.Len(t, got.LogHistory, len(want.LogHistory))
			for i, row := range want.LogHistory {
				now := got.LogHistory[i]
				if row.Loss != nil {
					require.InDelta(t, float64(*row.Loss), float64(*now.Loss), 1e-4, "loss of step %d", row.Step)
					require.InEpsilon(t, float64(*row.GradNorm), float64(*now.GradNorm), 1e-3, "gradient norm of step %d", row.Step)
				}
				for _, name := range slices.Sorted(maps.Keys(row.Compared)) {
					if filepath.Base(name) != "accuracies" { // of rewards that are 0 at first
						require.InDelta(t, float64(row.Compared[name]), float64(now.Compared[name]), 2e-3, "%s of step %d", name, row.Step)
					}
				}
			}
			most := whole[bindings.Activations] * 3 / 4
			if objective == objectiveKTO.name { // other prompts, which begin alike
				most = whole[bindings.Activations] * 9 / 10
			}
			require.Less(t, plan[bindings.Activations], most, "activations, of %d bytes without sharing", whole[bindings.Activations])

			again := r
			again.Args.OutputDir = filepath.Join(t.TempDir(), "out")
			again = interrupted(t, again, 5)
			require.NoError(t, train(t, t.Context(), again))
			first, resumed := outcome(t, r.Args.OutputDir), outcome(t, again.Args.OutputDir)
			for file := range first {
				require.True(t, first[file] == resumed[file], "%s of a resumed run differs", file)
			}
		})
	}
}

// TestPlanOfSharedPrompts plans runs of records with and without common prompts: what is shared is in the
// plan, and a run without it takes what a run takes that may not share.
func TestPlanOfSharedPrompts(t *testing.T) {
	r := preferenceRun(t, "dpo")
	plan := func(set []dataset.Example, share string) bindings.MemoryPlan {
		a := r.Args
		a.SharePrompts, a.EvalStrategy = share, StrategyNo
		p, err := PlanRun(r.Base, a, set, nil, nil, 40, cpu.Profile(cpu.Options{Threads: 1}), 0)
		require.NoError(t, err)
		return p.Bytes
	}
	alike := promptedOf(9, r.Base.Config.Vocabulary)
	apart := promptedOf(9, r.Base.Config.Vocabulary)
	for i := range apart {
		for side, from := range apart[i].Starts {
			apart[i].IDs[from] = int32(2*i + side) // every sequence begins otherwise
		}
	}
	require.Equal(t, plan(alike, shareFalse), plan(apart, shareAuto), "without a common beginning")
	require.Less(t, plan(alike, shareAuto).Total(), plan(alike, shareFalse).Total(), "with common prompts")
	require.Equal(t, plan(nil, shareFalse), plan(nil, shareAuto), "without records")
}

func TestDropoutIsNotShared(t *testing.T) {
	for _, c := range []struct {
		share   string
		dropout bool
		want    bool
	}{{shareAuto, false, true}, {shareAuto, true, false}, {shareTrue, true, true}, {shareFalse, false, false}} {
		a := DefaultArgs()
		a.Objective, a.SharePrompts, a.DisableDropout = "dpo", c.share, !c.dropout
		require.Equal(t, c.want, a.sharesPrompts(), "share_prompts %s, dropout %t", c.share, c.dropout)
	}
}
