package trainer

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/lora"
	"qlora/nn"
	"qlora/trainer/dataset"
)

// judgedOf returns completions of 9 tokens that are judged, each with another of 7, after a
// prompt of 3.
func judgedOf(n, vocabulary int) []dataset.Example {
	all := comparedOf(n, vocabulary, 9, 7)
	for i := range all {
		all[i].Judgement = int8(1 - 2*(i%2))
	}
	return all
}

// prefer makes the run one of preferences, with records for training and for evaluation.
func prefer(r *Run, objective string, train, eval int) {
	r.Args.Objective = objective
	records := pairsOf
	if objective == objectiveKTO.name {
		records, r.Args.SamplingStrategy = judgedOf, OrderSequential
	}
	r.TrainSet, r.EvalSet = records(train, r.Base.Config.Vocabulary), records(eval, r.Base.Config.Vocabulary)
}

// preferenceRun returns a short run of an objective with an evaluation.
func preferenceRun(t testing.TB, objective string) Run {
	t.Helper()
	r := tinyRun(t)
	prefer(&r, objective, 9, 3)
	r.Args.MaxSteps, r.Args.LoggingSteps, r.Args.SaveSteps, r.Args.EvalSteps = 8, 1, 8, 4
	return r
}

// A referenceCase is a run whose reference is not simply the base.
type referenceCase struct {
	name   string
	change func(t *testing.T, r *Run)
	refuse string // what the refusal without precompute_ref_log_probs says; "": the reference runs in the step
}

// continued makes the run go on from the adapter of a run with the given change.
func continued(change func(t *testing.T, r *Run)) func(t *testing.T, r *Run) {
	return func(t *testing.T, r *Run) {
		first := tinyRun(t)
		change(t, &first)
		first.Args.MaxSteps, first.Args.EvalStrategy = 2, StrategyNo
		require.NoError(t, train(t, t.Context(), first))
		r.Base.Quantize = first.Base.Quantize
		require.NoError(t, r.Base.UseAdapter(first.Args.OutputDir))
	}
}

func configured(change func(c *lora.Config)) func(t *testing.T, r *Run) {
	return func(_ *testing.T, r *Run) { change(r.Base.Lora) }
}

func unchanged(*testing.T, *Run) {}

var referenceCases = []referenceCase{
	{"new", unchanged, ""},
	{"weight-decomposed", configured(func(c *lora.Config) { c.DoRA = true }), ""},
	{"not zero at first", configured(func(c *lora.Config) { c.Init = lora.InitRandom }), ""},
	{"not zero at first, with biases", configured(func(c *lora.Config) { c.Init, c.LoraBias = lora.InitRandom, true }), ""},
	{"pissa", configured(func(c *lora.Config) { c.Init = lora.InitPiSSA }), ""},
	{"olora in 16 bits", func(_ *testing.T, r *Run) { r.Base.Lora.Init, r.Base.Quantize = lora.InitOLoRA, nil }, ""},
	{"loftq", configured(func(c *lora.Config) { c.Init, c.LoftQIterations = lora.InitLoftQ, 1 }), ""},
	{"continued", continued(unchanged), ""},
	{"continued, of the embedding and the head", continued(configured(func(c *lora.Config) { c.Targets = lora.ParseTargets("q_proj,embed_tokens,lm_head") })), ""},
	{"continued from pissa", continued(configured(func(c *lora.Config) { c.Init = lora.InitPiSSA })), "init_lora_weights"},
	{"modules", configured(func(c *lora.Config) { c.ModulesToSave = []string{"lm_head", "norm"} }), "modules_to_save"},
	{"continued with modules", continued(configured(func(c *lora.Config) { c.ModulesToSave = []string{"embed_tokens"} })), "modules_to_save"},
	{"biases", configured(func(c *lora.Config) { c.Bias = nn.BiasesAll }), "bias"},
	{"tokens", func(_ *testing.T, r *Run) {
		e := nn.EndsOf(r.Base.Config, r.Base.Weights)
		r.Base.Lora.Tokens = lora.TrainableTokens{Modules: map[string][]int32{e.Embedding: {3, 4, 5}, e.Head: {4, 9}}}
	}, "trainable_token_indices"},
	{"all weights", func(_ *testing.T, r *Run) { r.Base.Quantize, r.Base.Lora = nil, nil }, "method"},
}

// TestReferenceIsTheModelAsItBegins trains with log-probabilities of the reference that were
// computed before: at first the model is the reference. Where the reference can run in the
// step, the run has the same bits.
func TestReferenceIsTheModelAsItBegins(t *testing.T) {
	for _, objective := range []string{"dpo", "kto"} {
		for i, c := range fewer(referenceCases) {
			if objective == "kto" && i%3 != 0 {
				continue
			}
			t.Run(objective+", "+c.name, func(t *testing.T) {
				r := preferenceRun(t, objective)
				c.change(t, &r)
				before := r
				before.Args.Precompute, before.Args.OutputDir = true, filepath.Join(t.TempDir(), "before")
				require.NoError(t, train(t, t.Context(), before))
				first := history(t, before.Args.OutputDir).LogHistory[0]
				want := math.Ln2
				if objective == "kto" {
					want = 0.5
				}
				assert.InDelta(t, want, float64(*first.Loss), 2e-6, "loss of the first step")
				assert.InDelta(t, 0, float64(first.Compared["rewards/chosen"]), 5e-6, "reward of the first step")

				_, err := New(r)
				if c.refuse != "" {
					require.ErrorContains(t, err, "`"+c.refuse+"`")
					require.ErrorContains(t, err, "add `precompute_ref_log_probs`")
					return
				}
				require.NoError(t, train(t, t.Context(), r))
				inStep, got := outcome(t, r.Args.OutputDir), outcome(t, before.Args.OutputDir)
				for name := range inStep {
					assert.True(t, inStep[name] == got[name], "%s differs from that of the run with the reference in the step", name)
				}
			})
		}
	}
}

// TestReferenceSurvives interrupts runs with computed references within their passes and
// after some steps, with a file that is whole, torn or gone. The end has the bits of an
// undisturbed run, and whole passes are not computed again.
func TestReferenceSurvives(t *testing.T) {
	for _, c := range fewer(referenceCases) {
		t.Run(c.name, func(t *testing.T) {
			r := preferenceRun(t, "dpo")
			c.change(t, &r)
			r.Args.Precompute = true
			require.NoError(t, train(t, t.Context(), r))
			want := outcome(t, r.Args.OutputDir)
			whole, err := os.ReadFile(filepath.Join(r.Args.OutputDir, referenceFile))
			require.NoError(t, err)

			damages := map[string]func(path string){
				"gone": func(path string) { require.NoError(t, os.Remove(path)) },
				"kept": func(string) {},
				"torn": func(path string) { require.NoError(t, os.WriteFile(path, whole[:len(whole)*2/3], 0o600)) },
				"bad": func(path string) {
					bad := slices.Clone(whole)
					bad[len(bad)/2] ^= 1
					require.NoError(t, os.WriteFile(path, bad, 0o600))
				},
			}
			if c.name != "new" && c.name != "all weights" {
				damages = map[string]func(path string){"gone": damages["gone"]}
			}
			for name, damage := range damages {
				again := r
				again.Args.OutputDir = filepath.Join(t.TempDir(), "out")
				again = interrupted(t, again, 5)
				path := filepath.Join(again.Args.OutputDir, referenceFile)
				damage(path)
				require.NoError(t, train(t, t.Context(), again))
				got := outcome(t, again.Args.OutputDir)
				for file := range want {
					assert.True(t, want[file] == got[file], "%s: %s differs from that of the undisturbed run", name, file)
				}
				now, err := os.ReadFile(path)
				require.NoError(t, err)
				assert.True(t, slices.Equal(whole, now), "%s: the file of log-probabilities differs", name)
			}
		})
	}
}

// worker cancels a run when it has done some of the work on the reference.
type worker struct {
	NoOutput
	after  int64
	cancel func()
	seen   []int64
}

func (w *worker) Work(now Work) {
	if now.What != computingReference {
		return
	}
	if w.seen = append(w.seen, now.Done); now.Done >= w.after {
		w.cancel()
	}
}

// TestReferenceGoesOn cancels a run within the passes of the reference, at a fresh start and
// in a resumed run that has lost its file. It goes on behind the last whole pass.
func TestReferenceGoesOn(t *testing.T) {
	r := preferenceRun(t, "dpo")
	r.Base.Quantize, r.Base.Lora = nil, nil
	r.Args.Precompute, r.Args.SaveTotalLimit = true, 2
	require.NoError(t, train(t, t.Context(), r))
	want := outcome(t, r.Args.OutputDir)

	again := r
	again.Args.OutputDir = filepath.Join(t.TempDir(), "out")
	// until trains to the cancellation after n records, and returns the records done at each pass.
	until := func(n int64) []int64 {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := &worker{after: n, cancel: cancel}
		again.Outputs = []Output{w}
		err := train(t, ctx, again)
		require.ErrorIs(t, err, ErrInterrupted)
		require.ErrorContains(t, err, "the same command continues")
		again.Outputs = nil
		return w.seen
	}
	require.Equal(t, []int64{0, 2, 4}, until(4))
	require.Equal(t, []int64{6, 8}, until(8), "behind the last whole pass")
	require.NoFileExists(t, filepath.Join(again.Args.OutputDir, stateFile))

	again = interrupted(t, again, 5)
	require.NoError(t, os.Remove(filepath.Join(again.Args.OutputDir, referenceFile)))
	require.Equal(t, []int64{0, 2}, until(2))
	require.NoError(t, train(t, t.Context(), again))
	got := outcome(t, again.Args.OutputDir)
	for file := range want {
		assert.True(t, want[file] == got[file], "%s differs from that of the undisturbed run", file)
	}
}

// TestReferenceIsOfItsRun changes what the log-probabilities depend on, or does not: then the
// file of another run is of use.
func TestReferenceIsOfItsRun(t *testing.T) {
	base := preferenceRun(t, "dpo")
	base.Args.Precompute = true
	key := func(change func(r *Run)) []byte {
		t.Helper()
		r := base
		model, config := *base.Base, *base.Base.Lora
		r.Base, model.Lora = &model, &config
		change(&r)
		tr, err := New(r)
		require.NoError(t, err)
		sum, err := tr.referenceKey()
		require.NoError(t, err)
		return sum
	}
	half := 0.5
	want := key(func(*Run) {})
	for name, change := range map[string]func(r *Run){
		"records":            func(r *Run) { r.TrainSet = pairsOf(8, 96) },
		"evaluation records": func(r *Run) { r.EvalSet = pairsOf(2, 96) },
		"no evaluation":      func(r *Run) { r.Args.EvalStrategy = StrategyNo },
		"ld_alpha":           func(r *Run) { r.Args.LDAlpha = &half },
		"seed":               func(r *Run) { r.Args.Seed = 7 },
		"quantization":       func(r *Run) { r.Base.Quantize = nil },
		"rank":               func(r *Run) { r.Base.Lora.R = 2 },
		"base":               func(r *Run) { r.Base.Weights = openChanged(t).Weights },
	} {
		assert.NotEqual(t, want, key(change), "%s", name)
	}
	for name, change := range map[string]func(r *Run){
		"learning rate": func(r *Run) { r.Args.LearningRate = 1e-3 },
		"beta":          func(r *Run) { r.Args.Beta = 1 },
		"loss":          func(r *Run) { r.Args.LossType = []string{"ipo"} },
		"order":         func(r *Run) { r.Args.SamplingStrategy = OrderSequential },
		"steps":         func(r *Run) { r.Args.MaxSteps = 5 },
	} {
		assert.Equal(t, want, key(change), "%s", name)
	}
}

// FuzzReference checks that any bytes are read up to what they hold.
func FuzzReference(f *testing.F) {
	key := make([]byte, 32)
	head := append([]byte(referenceMagic), key...)
	path := filepath.Join(f.TempDir(), referenceFile)
	to, err := os.Create(path)
	require.NoError(f, err)
	log := referenceLog{file: to}
	require.NoError(f, errors.Join(log.write(head), log.add([]float32{-1, -2}), log.add([]float32{-3}), log.close()))
	file, err := os.ReadFile(path)
	require.NoError(f, err)
	values, used := parseReference(file, key, []int{2, 1})
	require.Equal(f, [][]float32{{-1, -2}, {-3}}, values)
	require.Equal(f, len(file), used)
	f.Add(file, uint8(2), uint8(1))
	f.Add(file[:len(file)-1], uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, first, second uint8) {
		values, used := parseReference(data, key, []int{int(first), int(second)})
		require.LessOrEqual(t, used, len(data))
		require.Equal(t, len(values) > 0, used > len(head))
	})
}
