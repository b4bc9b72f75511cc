package trainer

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// ranksFolder has recorded runs of transformers' Trainer over several processes; its
// record.py made them and documents each file.
const ranksFolder = "testdata/ranks"

// TestParityOfRanks trains every recorded case on one device, as a world of as many ranks.
func TestParityOfRanks(t *testing.T) {
	var index struct{ Cases []parityCase }
	readJSON(t, filepath.Join(ranksFolder, "index.json"), &index)
	for _, dev := range parityDevices(t) {
		t.Run(dev.Info().Detail, func(t *testing.T) {
			limit := parityLimit{loss: 2e-6, norm: 1e-5, gradient: 2e-5, weights: 1e-4}
			var rows [][]string
			for _, c := range fewer(index.Cases) {
				far := distance{}
				t.Run(c.Name, func(t *testing.T) { far.ranks(t, c.Name, limit, &recorder{Device: dev}) })
				rows = append(rows, append([]string{c.Name}, far.columns()...))
			}
			logTable(t, append([]string{"case"}, distanceColumns...), rows)
		})
	}
}

func (d distance) ranks(t *testing.T, name string, limit parityLimit, recorder *recorder) {
	folder := filepath.Join(ranksFolder, name)
	run := readParitySettings(t, filepath.Join(folder, "settings.json")).run(t, recorder)
	require.NoError(t, train(t, t.Context(), run))
	state := history(t, run.Args.OutputDir)
	d.withoutEvaluations(t, limit, filepath.Join(folder, "log_history.json"), state)
	d.gradients(t, limit, readTensors(t, filepath.Join(folder, "gradients.safetensors")), recorder.gradients)
	d.weights(t, limit, readTensors(t, filepath.Join(folder, "final/adapter_model.safetensors")), readTensors(t, filepath.Join(run.Args.OutputDir, "adapter_model.safetensors")))
}

// withoutEvaluations compares the log except for the loss of evaluations: Trainer's depends
// on the number of processes (docs/design.md), ours does not.
func (d distance) withoutEvaluations(t *testing.T, limit parityLimit, path string, state *State) {
	var want []Record
	readJSON(t, path, &want)
	evaluation := func(r Record) bool { return r.EvalLoss != nil }
	state.LogHistory = slices.DeleteFunc(state.LogHistory, evaluation)
	d.records(t, limit, slices.DeleteFunc(want, evaluation), state)
}

// TestOrderOfRanks compares the records of every micro-batch with those that each process
// was given.
func TestOrderOfRanks(t *testing.T) {
	var index struct{ Cases []parityCase }
	readJSON(t, filepath.Join(ranksFolder, "index.json"), &index)
	for _, c := range index.Cases {
		t.Run(c.Name, func(t *testing.T) {
			folder := filepath.Join(ranksFolder, c.Name)
			s := readParitySettings(t, filepath.Join(folder, "settings.json"))
			var given [][][]int // [rank][batch][record]
			readJSON(t, filepath.Join(folder, "orders.json"), &given)
			a, world := &s.Run, s.Run.World()
			require.Len(t, given, world)
			records := readRecords(t, s.Dataset)
			l, o := NewLength(a, len(records)), newOrder(a, records)
			at := 0
			for epoch := 0; at < len(given[0]); epoch++ {
				order := o.begin(epoch)
				for i := 0; i < l.Batches && at+i/world < len(given[0]); i++ {
					require.Equal(t, given[i%world][at+i/world], indicesOf(order, i, a), "epoch %d, rank %d, batch %d", epoch, i%world, i/world)
				}
				at += l.Batches / world
				if a.EvalStrategy == StrategyEpoch {
					o.evaluated()
				}
			}
		})
	}
}
