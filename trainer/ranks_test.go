package trainer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda/cudatest"
	"qlora/bindings/groups"
	"qlora/bindings/groups/local"
)

// worldRun returns a run of eight steps that is divided into a world of 4 ranks.
func worldRun(t testing.TB) Run {
	r := tinyRun(t)
	r.Args.WorldSize, r.Args.Accumulation, r.Args.Epochs = 4, 1, 4
	r.Prompts = &Prompts{
		List:   []Prompt{{Text: "a", IDs: []int32{3, 4}}, {Text: "b", IDs: []int32{9}}, {Text: "c", IDs: []int32{20, 21, 22}}},
		Tokens: 3, Decode: func(ids []int32) string { return fmt.Sprint(ids) },
	}
	return r
}

// onRanks adds devices to a run: it then trains on that many.
func onRanks(t testing.TB, r Run, ranks int) Run {
	t.Helper()
	for range ranks - 1 {
		dev, err := cpu.New(cpu.Options{Threads: 1, Compute: r.Device.Info().Activation})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, dev.Close()) })
		r.Others = append(r.Others, dev)
	}
	return r
}

// worldCases are runs whose bits may not depend on the number of ranks.
var worldCases = []struct {
	name   string
	change func(*Run)
}{
	{"dropout", func(*Run) {}},
	{"grouped by length, mean of means", func(r *Run) { r.Args.GroupByLength, r.Args.AverageTokens = true, false }},
	{"accumulation, early stopping", func(r *Run) {
		r.Args.WorldSize, r.Args.Accumulation, r.Args.Epochs, r.Args.Patience = 2, 2, 4, 8
		r.Args.Schedule, r.Args.LoadBest = "reduce_lr_on_plateau", true
	}},
	{"pissa", func(r *Run) { r.Base.Lora.Init = "pissa" }},
	{"dora, 8-bit moments", func(r *Run) {
		r.Base.Lora.DoRA = true
		r.Args.Optimizer, r.Args.OptimArgs = "adamw_8bit", "min_8bit_size=256"
	}},
	{"full", func(r *Run) { r.Base.Lora, r.Base.Quantize = nil, nil }},
	{"dpo", func(r *Run) {
		r.Args.Objective = "dpo"
		r.TrainSet, r.EvalSet = pairsOf(13, r.Base.Config.Vocabulary), pairsOf(5, r.Base.Config.Vocabulary)
	}},
	{"grpo", sampleInWorld},
	{"dpo, reference before the first step", func(r *Run) {
		r.Args.Objective, r.Args.Precompute = "dpo", true
		r.TrainSet, r.EvalSet = pairsOf(13, r.Base.Config.Vocabulary), pairsOf(5, r.Base.Config.Vocabulary)
	}},
}

// sampleInWorld makes a run one of grpo in a world of 4.
func sampleInWorld(r *Run) {
	sample(r)
	r.Args.MaxSteps, r.Args.WorldSize, r.Args.BatchSize, r.Args.Accumulation = 8, 4, 2, 1
	r.Args.StepsPerGeneration, r.Args.NumGenerations = 2, 8 // a group is of two ranks of the world
}

// TestAnyNumberOfRanksGivesTheSameBits trains the same run on 1 to 4 ranks, undisturbed and
// resumed on other numbers of ranks. Of the cases behind the first, 3 ranks are undisturbed, which
// divide no step evenly: the resumed run has the other numbers.
func TestAnyNumberOfRanksGivesTheSameBits(t *testing.T) {
	for i, c := range fewer(worldCases) {
		undisturbed := []int{2, 3, 4}
		if i > 0 {
			undisturbed = []int{3}
		}
		t.Run(c.name, func(t *testing.T) {
			alone := worldRun(t)
			c.change(&alone)
			require.NoError(t, train(t, t.Context(), alone))
			want := outcome(t, alone.Args.OutputDir)
			for _, ranks := range undisturbed {
				r := worldRun(t)
				c.change(&r)
				require.NoError(t, train(t, t.Context(), onRanks(t, r, ranks)))
				requireSame(t, want, outcome(t, r.Args.OutputDir), fmt.Sprintf("on %d ranks", ranks))
			}
			r := worldRun(t)
			c.change(&r)
			r.Args.Resume = ResumeNewest
			for i, ranks := range []int{2, 3, 1, 4} {
				ctx, cancel := context.WithCancel(t.Context())
				r.Outputs = []Output{&stopper{after: 2*i + 1, cancel: cancel}}
				err := train(t, ctx, onRanks(t, r, ranks))
				require.True(t, err == nil || errors.Is(err, ErrInterrupted), "on %d ranks: %v", ranks, err)
				r.Args.WorldSize = 0 // the checkpoint's
				cancel()
			}
			r.Outputs = nil
			require.NoError(t, train(t, t.Context(), onRanks(t, r, 2)))
			requireSame(t, want, outcome(t, r.Args.OutputDir), "resumed on 3, 1, 4 and 2 ranks")
		})
	}
}

func requireSame(t *testing.T, want, got map[string]string, what string) {
	t.Helper()
	for name, w := range want {
		if got[name] != w {
			at := 0
			for at < min(len(w), len(got[name])) && w[at] == got[name][at] {
				at++
			}
			t.Fatalf("%s: %s differs from byte %d of %d\nwant …%.300q\ngot  …%.300q", what, name, at, len(w), w[max(0, at-100):], got[name][max(0, at-100):])
		}
	}
}

// A faulty device fails, or computes something else, at its n-th optimizer step.
type faulty struct {
	bindings.Device
	steps, at int
	err       error // nil: it computes something else
}

func (f *faulty) Run(op bindings.Operation) {
	f.Device.Run(op)
	if o, ok := op.(*bindings.Optimize); ok {
		if f.steps++; f.steps == f.at && f.err == nil {
			f.Device.Run(&bindings.Zero{T: o.Params[0].Master})
		}
	}
}

func (f *faulty) Read(dst []byte, t bindings.Tensor) error {
	if f.err != nil && f.steps == f.at {
		return f.err
	}
	return f.Device.Read(dst, t)
}

// TestErrorOfOneRankEndsAll makes a device of three fail; the run returns its error and not
// those of the others, who stop at once.
func TestErrorOfOneRankEndsAll(t *testing.T) {
	broken := errors.New("the device is lost")
	for i := range 6 {
		rank, step := i%3, "step 5: "
		r := onRanks(t, worldRun(t), 3)
		if i >= 3 { // who does not send its part of the weights
			r.Args.FSDP, step = ShardGrad, "step 4: "
		}
		devices := append([]bindings.Device{r.Device}, r.Others...)
		devices[rank] = &faulty{Device: devices[rank], at: 4, err: broken}
		r.Device, r.Others = devices[0], devices[1:]
		start := time.Now()
		err := train(t, t.Context(), r)
		require.ErrorIs(t, err, broken, "rank %d", rank)
		require.NotErrorAs(t, err, new(*groups.AbortedError), "rank %d", rank)
		require.ErrorContains(t, err, step, "rank %d", rank)
		require.Less(t, time.Since(start), groups.DefaultDeadline/2)
		require.DirExists(t, CheckpointDir(r.Args.OutputDir, 3), "the checkpoint before the error")
	}
}

// TestReplicasAreCompared changes the weights of one device.
func TestReplicasAreCompared(t *testing.T) {
	r := worldRun(t)
	r.Prompts, r.EvalSet = nil, nil
	r.Args.EvalStrategy, r.Args.MaxSteps, r.Args.SaveStrategy, r.Args.BatchSize = StrategyNo, digestEvery+2, StrategyNo, 1
	r = onRanks(t, r, 3)
	r.Others[1] = &faulty{Device: r.Others[1], at: 3}
	require.EqualError(t, train(t, t.Context(), r), "step 101: the replicas differ: rank 2 has other weights than the others. One of the devices computes wrongly or runs another build; the last checkpoints may have its numbers")
}

// asProcesses trains with a Trainer for each run, as the ranks of one program each do.
func asProcesses(t *testing.T, runs ...Run) []error { return asProcessesUntil(t, t.Context(), runs...) }

// asProcessesUntil stops them when ctx is canceled.
func asProcessesUntil(t *testing.T, ctx context.Context, runs ...Run) []error {
	t.Helper()
	errs := make([]error, len(runs))
	var all sync.WaitGroup
	for i, g := range local.New(len(runs), time.Minute) {
		runs[i].Group = g
		all.Go(func() {
			tr, err := New(runs[i])
			if err == nil {
				err = tr.Train(ctx)
			}
			errs[i] = err
		})
	}
	all.Wait()
	return errs
}

// TestRanksOfOtherProcesses trains with runs of their own, of which only the first may read
// checkpoints and write.
func TestRanksOfOtherProcesses(t *testing.T) {
	alone := worldRun(t)
	require.NoError(t, train(t, t.Context(), alone))
	first, second, third := worldRun(t), worldRun(t), worldRun(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := first
	before.Outputs = []Output{&stopper{after: 3, cancel: cancel}}
	require.ErrorIs(t, train(t, ctx, before), ErrInterrupted)
	for _, r := range []*Run{&first, &second, &third} {
		r.Args.Resume, r.Args.WorldSize = ResumeNewest, 0
	}
	for rank, err := range asProcesses(t, first, second, third) {
		require.NoError(t, err, "rank %d", rank)
	}
	requireSame(t, outcome(t, alone.Args.OutputDir), outcome(t, first.Args.OutputDir), "with processes")
	for _, r := range []Run{second, third} {
		_, err := os.Stat(r.Args.OutputDir)
		require.ErrorIs(t, err, os.ErrNotExist, "a rank other than 0 wrote")
	}
}

// TestRanksMustRunTheSame gives one rank another input.
func TestRanksMustRunTheSame(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"it was made from other records than this run's `dataset` gives":      func(r *Run) { r.TrainSet[7].IDs[3]++ },
		"it was made with `per_device_train_batch_size` 1 and this run has 2": func(r *Run) { r.Args.BatchSize = 1 },
		"its `learning_rate` is 0.5, rank 0's is 0.01":                        func(r *Run) { r.Args.LearningRate = 0.5 },
	} {
		runs := []Run{worldRun(t), worldRun(t), worldRun(t)}
		change(&runs[2])
		for rank, err := range asProcesses(t, runs...) {
			require.ErrorContains(t, err, "rank 2 (cpu of ", "rank %d", rank)
			require.ErrorContains(t, err, want, "rank %d", rank)
		}
		for _, r := range runs {
			_, err := os.Stat(filepath.Join(r.Args.OutputDir, runFile))
			require.ErrorIs(t, err, os.ErrNotExist)
		}
	}
}

func TestTooManyRanks(t *testing.T) {
	r := onRanks(t, worldRun(t), 3)
	r.Args.WorldSize, r.Args.Accumulation = 2, 1
	_, err := New(r)
	require.EqualError(t, err, "`world_size` is 2, but a step has 2 micro-batches, too few for 3 ranks: raise it or `gradient_accumulation_steps`")
}

// TestEmulatorOnTwoRanks trains a step of three micro-batches on one and on two devices that
// run the GPU's kernels, each with the whole base and with a part of it.
func TestEmulatorOnTwoRanks(t *testing.T) {
	var want []byte
	for i, ranks := range []int{1, 2, 2} {
		r := tinyRun(t)
		r.Args.FSDP = []string{ShardNo, ShardNo, ShardFull}[i]
		r.Device = cudatest.Emulator(t)
		for range ranks - 1 {
			r.Others = append(r.Others, cudatest.Emulator(t))
		}
		r.TrainSet, r.EvalSet, r.Args.EvalStrategy = r.TrainSet[:3], nil, StrategyNo
		r.Args.WorldSize, r.Args.BatchSize, r.Args.Accumulation, r.Args.MaxSteps = 3, 1, 1, 1
		require.NoError(t, train(t, t.Context(), r))
		got, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "checkpoint-1", optimizerFile))
		require.NoError(t, err)
		if want == nil {
			want = got
		}
		require.Equal(t, want, got, "the parameters and moments on %d ranks, `fsdp` %s", ranks, r.Args.FSDP)
	}
}
