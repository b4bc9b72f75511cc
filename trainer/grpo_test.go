package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/trainer/dataset"
	"qlora/trainer/reward"
)

// wanted rewards completions by the share of their tokens that are one of a few, and fails
// when it is told to.
type wanted struct {
	calls int
	fail  int      // call that fails; 0: none
	good  []string // tokens
}

func (w *wanted) Name() string { return "wanted" }
func (w *wanted) Close() error { return nil }

func (w *wanted) Score(_ context.Context, of []reward.Completion) ([]float64, error) {
	w.calls++
	if w.calls == w.fail {
		return nil, errors.New("the judge has died; start it again")
	}
	var all []float64
	for _, c := range of {
		n, words := 0.0, strings.Fields(c.Text)
		for _, word := range words {
			if slices.Contains(w.good, word) {
				n++
			}
		}
		all = append(all, n/float64(max(1, len(words))))
	}
	return all, nil
}

// promptsOf returns n prompts.
func promptsOf(n, vocabulary int) []dataset.Example {
	var all []dataset.Example
	for i := range n {
		var e dataset.Example
		for t := range 2 + i%3 {
			e.IDs, e.Labels = append(e.IDs, int32((7*i+11*t+3)%vocabulary)), append(e.Labels, dataset.Ignored)
		}
		e.Record = fmt.Appendf(nil, `{"prompt": "%d"}`, i)
		all = append(all, e)
	}
	return all
}

// sampledRun returns a run that samples completions twice.
func sampledRun(t *testing.T) (Run, *wanted) {
	t.Helper()
	r := tinyRun(t)
	r.Args.MaxSteps, r.Args.LearningRate, r.Args.LoggingSteps = 8, 1e-2, 1
	r.Args.EvalSteps, r.Args.SaveSteps = 4, 100
	judge := sample(&r)
	return r, judge
}

// sample makes a run one of grpo that samples for four steps at a time, and returns its judge.
func sample(r *Run) *wanted {
	judge := &wanted{good: []string{"3", "4", "5", "6"}}
	r.Args.Objective, r.Args.Beta = "grpo", 0.01
	r.Args.NumGenerations, r.Args.MaxCompletionLength, r.Args.NumIterations, r.Args.StepsPerGeneration = 4, 6, 2, 4
	r.Args.BatchSize, r.Args.Accumulation, r.Args.EvalBatchSize, r.Args.NumGenerationsEval = 4, 2, 4, 2
	r.TrainSet, r.EvalSet = promptsOf(9, r.Base.Config.Vocabulary), promptsOf(3, r.Base.Config.Vocabulary)
	r.Rollouts = &Rollouts{
		Stop: []int32{1}, Rewards: []reward.Function{judge},
		Decode: func(ids []int32) string {
			var words []string
			for _, id := range ids {
				words = append(words, fmt.Sprint(id))
			}
			return strings.Join(words, " ")
		},
	}
	return judge
}

// adapterOf returns the bytes of a run's adapter.
func adapterOf(t *testing.T, r Run) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "adapter_model.safetensors"))
	require.NoError(t, err)
	return b
}

func TestGRPORaisesRewards(t *testing.T) {
	r, _ := sampledRun(t)
	r.Args.MaxSteps, r.Args.Beta, r.Args.NumIterations, r.Args.StepsPerGeneration, r.Args.NumGenerations = 30, 0, 1, 2, 8
	r.Args.Schedule, r.Args.LearningRate, r.Args.LogCompletions = "constant", 2e-2, true
	var shown []Sample
	r.Outputs = []Output{&seesSamples{all: &shown}}
	require.NoError(t, train(t, t.Context(), r))
	var rewards []float64
	for _, row := range history(t, r.Args.OutputDir).LogHistory {
		if row.Loss != nil {
			for _, name := range []string{"reward", "reward_std", "rewards/wanted/mean", "rewards/wanted/std", "entropy", "completions/mean_length", "completions/clipped_ratio", "frac_reward_zero_std", "num_tokens", "clip_ratio/region_mean"} {
				require.Contains(t, row.Compared, name)
			}
			require.NotContains(t, row.Compared, "kl")
			rewards = append(rewards, float64(row.Compared["reward"]))
		} else if row.EvalLoss != nil {
			require.Contains(t, row.Compared, "eval_reward")
		}
	}
	mean := func(x []float64) (sum float64) {
		for _, v := range x {
			sum += v / float64(len(x))
		}
		return sum
	}
	first, last := mean(rewards[:5]), mean(rewards[25:])
	require.Greater(t, last, first+0.1, "mean reward of steps 1 to 5 and of steps 26 to 30")
	require.NotEmpty(t, shown)
	require.NotNil(t, shown[0].Reward)
}

// seesSamples keeps samples.
type seesSamples struct {
	NoOutput
	all *[]Sample
}

func (s *seesSamples) Sampled(all []Sample) error { *s.all = append(*s.all, all...); return nil }

// TestGRPOResumes stops a run after each of its steps, within and between the batches of
// completions: the resumed run ends with the same bits.
func TestGRPOResumes(t *testing.T) {
	whole, _ := sampledRun(t)
	require.NoError(t, train(t, t.Context(), whole))
	want := adapterOf(t, whole)
	for _, after := range []int{1, 3, 4, 6} {
		r, _ := sampledRun(t)
		r = interrupted(t, r, after)
		_, err := os.Stat(filepath.Join(CheckpointDir(r.Args.OutputDir, after), rolloutFile))
		require.Equal(t, after%4 != 0, err == nil, "the checkpoint of step %d has the completions of its batch", after)
		require.NoError(t, train(t, t.Context(), r))
		assert.True(t, bytes.Equal(want, adapterOf(t, r)), "the run resumed after step %d has another adapter", after)
		full, again := history(t, whole.Args.OutputDir).LogHistory, history(t, r.Args.OutputDir).LogHistory
		require.Len(t, again, len(full))
		for i := range full {
			assert.Equal(t, full[i].Compared, again[i].Compared, "row %d of the run resumed after step %d", i, after)
		}
	}
}

func TestGRPOSavesBeforeAFailure(t *testing.T) {
	whole, judge := sampledRun(t)
	require.NoError(t, train(t, t.Context(), whole))
	calls := judge.calls
	for fail := 1; fail <= calls; fail++ {
		r, judge := sampledRun(t)
		judge.fail = fail
		err := train(t, t.Context(), r)
		require.ErrorContains(t, err, "the judge has died; start it again; the run is saved in ")
		require.ErrorAs(t, err, new(*JudgeError))
		r.Args.Resume = ResumeNewest
		require.NoError(t, train(t, t.Context(), r), "resumed after the %d-th batch failed", fail)
		assert.True(t, bytes.Equal(adapterOf(t, whole), adapterOf(t, r)), "resumed after the %d-th batch failed: another adapter", fail)
	}
}

// TestGRPOJudgesOnEachRank lets the judge fail in turn for each rank's completions, by turns with the
// base whole and shared out: rank 0 saves the run, all end with the judge's error, and the resumed run has the same bits.
func TestGRPOJudgesOnEachRank(t *testing.T) {
	run := func() (Run, *wanted) {
		r, judge := sampledRun(t)
		r.Args.WorldSize, r.Args.Accumulation, r.Args.StepsPerGeneration = 2, 1, 2
		return r, judge
	}
	whole, judge := run()
	require.NoError(t, train(t, t.Context(), whole))
	calls := judge.calls
	require.Equal(t, 2*2+2*2, calls, "two rollouts of two ranks, two evaluations of two batches")
	for fail := 1; fail <= calls; fail++ {
		r, judge := run()
		judge.fail = fail
		if fail%2 == 0 {
			r.Args.FSDP = ShardFull
		}
		err := train(t, t.Context(), onRanks(t, r, 2))
		require.ErrorContains(t, err, "the judge has died; start it again; the run is saved in ")
		require.ErrorAs(t, err, new(*JudgeError))
		r.Args.Resume = ResumeNewest
		require.NoError(t, train(t, t.Context(), onRanks(t, r, 1+fail%2)), "resumed after the %d-th judgement failed", fail)
		assert.True(t, bytes.Equal(adapterOf(t, whole), adapterOf(t, r)), "resumed after the %d-th judgement failed: another adapter", fail)
		assert.LessOrEqual(t, judge.calls, calls+3, "judgements, of which those of the failed batch are repeated")
	}
}

func TestGRPORefusals(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"`reward_funcs` is missing":                                     func(r *Run) { r.Rollouts.Rewards = nil },
		"`num_generations` is 1, but advantages compare":                func(r *Run) { r.Args.NumGenerations = 1 },
		"`num_generations` is 5, but it must divide the 16 completions": func(r *Run) { r.Args.NumGenerations = 5 },
		"`steps_per_generation` says otherwise":                         func(r *Run) { r.Args.GenerationBatchSize = 32 },
		"it must be a multiple of `per_device_train_batch_size`":        func(r *Run) { r.Args.GenerationBatchSize, r.Args.StepsPerGeneration = 18, 0 },
		"16 times `steps_per_generation` 4 times the ranks, 3": func(r *Run) {
			r.Args.WorldSize, r.Args.BatchSize, r.Args.NumGenerations = 3, 16, 5
		},
		"`per_device_eval_batch_size` is 5, but it must be a multiple of the 2": func(r *Run) { r.Args.EvalBatchSize = 5 },
		"`reward_weights` is \"1,2\", but there must be as many as rewards":     func(r *Run) { r.Args.RewardWeights = []string{"1", "2"} },
		"the dataset has 3 prompts, but completions of 4":                       func(r *Run) { r.TrainSet = r.TrainSet[:3] },
		"it is not a prompt with its record":                                    func(r *Run) { r.TrainSet[0].Record = nil },
		"evaluations measure only loss and reward":                              func(r *Run) { r.Args.BestMetric = "mean_token_accuracy" },
		"with `objective` grpo it can be dapo, grpo":                            func(r *Run) { r.Args.LossType = []string{"sigmoid"} },
		"set `importance_sampling_level` to sequence":                           func(r *Run) { r.Args.LossType = []string{"luspo"} },
		"it has no effect with `objective` grpo and `loss_type` dapo":           func(r *Run) { r.Args.SAPOPositive = 2 },
		"it has no effect with `objective` sft":                                 func(r *Run) { r.Args.Objective, r.Args.Beta = "sft", 0.1 },
	} {
		r, _ := sampledRun(t)
		change(&r)
		_, err := New(r)
		require.ErrorContains(t, err, want)
	}
}

func TestAdvantages(t *testing.T) {
	j := &judgement{names: []string{"a"}, rewards: [][]float64{{1, 1, 1, 1, 0, 2, math.NaN(), 1}}, weights: []float64{1}, group: 4}
	got, alike := j.advantages(scaleGroup, sumThenNormalize)
	assert.InDeltaSlice(t, []float64{0, 0, 0, 0, -1 / 1.0001, 1 / 1.0001, 0, 0}, got, 1e-9)
	assert.Equal(t, []bool{true, true, true, true, false, false, false, false}, alike)
	got, _ = j.advantages(scaleNone, sumThenNormalize)
	assert.InDeltaSlice(t, []float64{0, 0, 0, 0, -1, 1, 0, 0}, got, 1e-9)
}

func FuzzRollout(f *testing.F) {
	f.Add([]byte(`{"number": 1, "sequences": [{"ids": [1, 2, 3], "prompt": 1, "advantage": 0.5, "old": [1, 2]}, {"ids": [1, 2], "prompt": 1}]}`))
	f.Add([]byte(`{"sequences": [{}, {"ids": [], "prompt": -1}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRollout(b, 2, 8)
		if err != nil {
			return
		}
		a := DefaultArgs()
		a.Objective = "grpo"
		m := r.microBatch(&a, 0, 2, r.average(1))
		if len(m.sampled.Share) != m.Tokens() || m.sampled.Old != nil && len(m.sampled.Old) != m.Tokens() {
			t.Errorf("a micro-batch of %d tokens has %d shares and %d old losses", m.Tokens(), len(m.sampled.Share), len(m.sampled.Old))
		}
	})
}
