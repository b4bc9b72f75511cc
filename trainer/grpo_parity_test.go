package trainer

import (
	"context"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/tokenizer"
	"qlora/trainer/dataset"
	"qlora/trainer/reward"
)

// grpoFolder has recorded runs of TRL's GRPOTrainer with given completions; its generate.py made
// them.
const grpoFolder = "testdata/grpo"

// grpoColumns are what is compared, by distance's keys.
var grpoColumns = []string{"loss", "eval_loss", "grad_norm", "advantages", "kl", "entropy", "clip", "reward", "completions", "weights"}

func TestGRPOParity(t *testing.T) {
	var index struct{ Cases []parityCase }
	readJSON(t, filepath.Join(grpoFolder, "index.json"), &index)
	require.NotEmpty(t, index.Cases)
	for _, dev := range parityDevices(t) {
		t.Run(dev.Info().Detail, func(t *testing.T) {
			var rows [][]string
			for _, c := range fewer(index.Cases) {
				far := distance{}
				t.Run(c.Name, func(t *testing.T) { replayGRPO(t, far, c.Name, dev) })
				row := []string{c.Name}
				for _, kind := range grpoColumns {
					row = append(row, far.column(kind))
				}
				rows = append(rows, row)
			}
			logTable(t, append([]string{"case"}, grpoColumns...), rows)
		})
	}
}

// A recordedBatch is an element of rollouts.json.
type recordedBatch struct {
	Evaluation  bool
	Completions [][]int32
	Rewards     [][]*float64
	Order       []int
	Advantages  []float64
}

// given is what the recorded batches give in place of sampling and judging.
type given struct {
	t     *testing.T
	train []recordedBatch
	eval  []recordedBatch
	now   recordedBatch
	asked int // rewards of now
}

func (g *given) next(p prompted) []drawn {
	from := &g.train
	if p.evaluation {
		from = &g.eval
	}
	require.NotEmpty(g.t, *from, "the run takes more batches of completions than were recorded")
	g.now, *from, g.asked = (*from)[0], (*from)[1:], 0
	var all []drawn
	for _, ids := range g.now.Completions {
		all = append(all, drawn{IDs: ids, Ended: ids[len(ids)-1] == 0})
	}
	return all
}

// recordedReward is a reward function of the recorded run.
type recordedReward struct {
	*given
	name string
}

func (r *recordedReward) Name() string { return r.name }
func (r *recordedReward) Close() error { return nil }

func (r *recordedReward) Score(context.Context, []reward.Completion) ([]float64, error) {
	var all []float64
	for _, x := range r.now.Rewards[r.asked] {
		if x == nil {
			all = append(all, math.NaN())
		} else {
			all = append(all, *x)
		}
	}
	r.asked++
	return all, nil
}

func replayGRPO(t *testing.T, far distance, name string, dev bindings.Device) {
	folder := filepath.Join(grpoFolder, name)
	s := readPreferenceSettings(t, filepath.Join(folder, "settings.json"))
	s.MaxLength = 1024
	limit := preferenceLimit{parityLimit{loss: 2e-4, norm: 2e-4, weights: 2e-4}, 2e-4}
	run := s.runOf(t, dev)
	run.TrainSet, run.EvalSet = s.prompts(t, s.Dataset), s.prompts(t, s.Eval)
	g := &given{t: t}
	var batches []recordedBatch
	readJSON(t, filepath.Join(folder, "rollouts.json"), &batches)
	for _, b := range batches {
		if b.Evaluation {
			g.eval = append(g.eval, b)
		} else {
			g.train = append(g.train, b)
		}
	}
	names := []string{"first", "second"}[:len(batches[0].Rewards)]
	run.Rollouts = &Rollouts{Decode: func([]int32) string { return "" }, given: g.next}
	for _, name := range names {
		run.Rollouts.Rewards = append(run.Rollouts.Rewards, &recordedReward{g, name})
	}
	run.Rollouts.order = func(int, int) []int { return g.now.Order }
	run.Rollouts.rolled = func(r *rollout) {
		for i, want := range g.now.Advantages {
			got := float64(r.Sequences[i].Advantage)
			far.hold(t, "advantages", math.Abs(got-want)/max(1, math.Abs(want)), 1e-4, "completion %d of rollout %d: got %v, want %v", i, r.Number, got, want)
		}
	}
	require.NoError(t, train(t, t.Context(), run))
	require.Empty(t, g.train, "recorded batches that the run did not take")
	far.sampledRows(t, limit, filepath.Join(folder, "log_history.json"), history(t, run.Args.OutputDir))
	far.weights(t, limit.parityLimit, readTensors(t, filepath.Join(folder, "final.safetensors")),
		readTensors(t, filepath.Join(run.Args.OutputDir, "adapter_model.safetensors")))
}

// prompts reads records as the command line does.
func (s *preferenceSettings) prompts(t *testing.T, path string) []dataset.Example {
	t.Helper()
	if path == "" {
		return nil
	}
	tok, err := tokenizer.LoadFolder(filepath.Join(preferenceFolder, "tokenizer"))
	require.NoError(t, err)
	opt := dataset.DefaultOptions()
	opt.MaxLength, opt.ModelFolder, opt.Compare, opt.Room = s.MaxLength, filepath.Join(preferenceFolder, "tokenizer"), dataset.ComparePrompt, s.Run.MaxCompletionLength
	set, err := dataset.Load([]string{filepath.Join(grpoFolder, path)}, tok, opt, nil)
	require.NoError(t, err)
	return set.Examples
}

// sampledRows compares log_history row by row. Losses of advantages that sum to 0 are rounding:
// they are relative to 1, too.
func (d distance) sampledRows(t *testing.T, limit preferenceLimit, path string, state *State) {
	t.Helper()
	var want []map[string]*float64
	readJSON(t, path, &want)
	require.Len(t, state.LogHistory, len(want), "rows of the log")
	for i, row := range want {
		raw, err := json.Marshal(state.LogHistory[i])
		require.NoError(t, err)
		var got map[string]float64
		require.NoError(t, json.Unmarshal(raw, &got))
		for name, v := range row {
			if v == nil {
				continue
			}
			g, ok := got[name]
			if !assert.True(t, ok, "step %v: the row has no %s, recorded %v", *row["step"], name, *v) {
				continue
			}
			kind, most := sampledKind(name), limit.compared
			scale := max(math.Abs(*v), 1)
			switch kind {
			case "loss", "eval_loss":
				most = limit.loss
				scale = max(math.Abs(*v), 0.05)
			case "grad_norm":
				most, scale = limit.norm, max(math.Abs(*v), 1e-6)
			case "":
				assert.InDelta(t, *v, g, 1e-12, "step %v, %s", *row["step"], name)
				continue
			}
			d.hold(t, kind, math.Abs(g-*v)/scale, most, "step %v, %s: got %v, want %v", *row["step"], name, g, *v)
		}
		for name := range state.LogHistory[i].Compared {
			assert.Contains(t, row, name, "step %v: the recorded row has no such number", *row["step"])
		}
	}
}

// sampledKind returns the kind of a logged number, "" of those that are equal.
func sampledKind(name string) string {
	short := strings.TrimPrefix(name, "eval_")
	switch {
	case name == "loss" || name == "train_loss":
		return "loss"
	case name == "eval_loss", name == "grad_norm":
		return name
	case short == "kl", short == "entropy":
		return short
	case strings.Contains(short, "clip_ratio") && !strings.HasPrefix(short, "completions"), strings.HasPrefix(short, "vespo"):
		return "clip"
	case strings.HasPrefix(short, "reward"), short == "frac_reward_zero_std":
		return "reward"
	case strings.HasPrefix(short, "completions"), short == "num_tokens":
		return "completions"
	}
	return ""
}
