package trainer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
)

// TestFrontKeepsWhatNothingExceeds checks that a micro-batch that is smaller than
// another in every respect is dropped.
func TestFrontKeepsWhatNothingExceeds(t *testing.T) {
	examples := recordsOf(10, 2, 2, 2, 7, 7, 1)
	var f front
	for _, indices := range [][]int{{1, 2}, {0}, {4, 5}, {1, 2, 3}, {6}, {0, 6}} {
		f.add(examples, indices)
	}
	var kept [][3]int
	for _, b := range f.batches() {
		kept = append(kept, [3]int{b.Tokens(), b.Longest(), b.Sequences()})
	}
	require.ElementsMatch(t, [][3]int{{14, 7, 2}, {6, 2, 3}, {11, 10, 2}}, kept)
}

func TestPlanIsWhatTheTrainerTakes(t *testing.T) {
	for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
		t.Run(compute.String(), func(t *testing.T) {
			opts := cpu.Options{Threads: 1, Compute: compute}
			r := tinyRun(t)
			var err error
			r.Device, err = cpu.New(opts)
			require.NoError(t, err)
			plan, err := PlanRun(r.Base, r.Args, r.TrainSet, r.EvalSet, nil, 0, cpu.Profile(opts), 0)
			require.NoError(t, err)
			tr, err := New(r)
			require.NoError(t, err)
			require.Equal(t, plan.Bytes, tr.Plan().Bytes)
			require.Equal(t, "none", plan.Recompute.String())
		})
	}
}

// TestBFloat16HalvesActivations compares the plans of both types. Only the statistics of
// norms and attention are float32 in either.
func TestBFloat16HalvesActivations(t *testing.T) {
	r := tinyRun(t)
	plan := func(compute bindings.DType) bindings.MemoryPlan {
		p, err := PlanRun(r.Base, r.Args, r.TrainSet, r.EvalSet, nil, 0, cpu.Profile(cpu.Options{Compute: compute}), 0)
		require.NoError(t, err)
		return p.Bytes
	}
	whole, half := plan(bindings.F32), plan(bindings.BF16)
	require.InDelta(t, 0.5, float64(half[bindings.Activations])/float64(whole[bindings.Activations]), 0.02)
	require.InDelta(t, 0.5, float64(half[bindings.Adapters])/float64(whole[bindings.Adapters]), 0.02)
	for _, same := range []bindings.Category{bindings.Weights4Bit, bindings.Gradients, bindings.Inputs} {
		require.Equal(t, whole[same], half[same], "%s", same)
	}
}

// TestPlanOfTheOptimizer compares the planned bytes of the optimizer with those of its
// moments, for 86 thousand parameters of full fine-tuning.
func TestPlanOfTheOptimizer(t *testing.T) {
	r := tinyRun(t)
	r.Base.Quantize, r.Base.Lora = nil, nil
	const (
		embedding, head, layers = 96 * 64, 96 * 64, 2
		large                   = 2*64*64 + 3*64*128 // q and o, gate, up and down of a layer
		small                   = 2 * 32 * 64        // k and v
		clip, norm              = 256, 256           // allocations are multiples of 256 bytes
	)
	norms := (2*layers + 1) * norm
	for name, want := range map[string]int{
		sgd:  clip,
		lion: clip + 4*(embedding+head+layers*(large+small)) + norms,
		// One byte of code and 1/64 byte of absmax per parameter; each allocation is a
		// multiple of 256 bytes.
		lion8Bit:  clip + 4*(embedding+layers*small) + norms + head + 256 + layers*(large+5*256),
		adamw:     clip + 8*(embedding+head+layers*(large+small)) + 2*norms,
		adamw8Bit: clip + 8*(embedding+layers*small) + 2*(norms+head+256+layers*(large+5*256)),
	} {
		r.Args.Optimizer = name
		plan, err := PlanRun(r.Base, r.Args, r.TrainSet, r.EvalSet, nil, 0, cpu.Profile(cpu.Options{}), 0)
		require.NoError(t, err)
		require.EqualValues(t, want, plan.Bytes[bindings.Optimizer], name)
	}
}

// TestRunThatDoesNotFitSaysWhatWould names options with which a run fits and that it accepts: a step has
// the same sequences, and groups of completions stay whole.
func TestRunThatDoesNotFitSaysWhatWould(t *testing.T) {
	sft := func(size int) func(*Run) {
		return func(r *Run) {
			r.Args.BatchSize, r.Args.Accumulation, r.Args.EvalBatchSize, r.Args.AutoSplit = size, 1, 8, false
		}
	}
	grpo := func(size, group, steps, eval int) func(*Run) {
		return func(r *Run) {
			sample(r)
			r.Args.BatchSize, r.Args.Accumulation, r.Args.NumGenerations, r.Args.StepsPerGeneration = size, 1, group, steps
			r.Args.EvalBatchSize, r.Args.NumGenerationsEval = eval, 0
		}
	}
	for _, c := range []struct {
		name        string
		change      func(*Run)
		size, eval  int // of the largest batches that fit
		accumulated int
		want        string
	}{
		{"sft", sft(8), 2, 2, 4, "`recompute` layer `per_device_train_batch_size` 2 `gradient_accumulation_steps` 4 `per_device_eval_batch_size` 2"},
		{"an odd batch", sft(9), 3, 3, 3, "`recompute` layer `per_device_train_batch_size` 3 `gradient_accumulation_steps` 3 `per_device_eval_batch_size` 3"},
		{"grpo", grpo(8, 4, 0, 8), 2, 4, 4, "`recompute` layer `per_device_train_batch_size` 2 `gradient_accumulation_steps` 4 `per_device_eval_batch_size` 4"},
		{"grpo, a group of an odd batch", grpo(5, 5, 0, 5), 1, 5, 5, "`recompute` layer `per_device_train_batch_size` 1 `gradient_accumulation_steps` 5"},
		{"grpo, sampled ahead", grpo(6, 4, 2, 8), 3, 4, 2, "`recompute` layer `per_device_train_batch_size` 3 `gradient_accumulation_steps` 2 `steps_per_generation` 4 `per_device_eval_batch_size` 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := tinyRun(t)
			c.change(&r)
			small := r.Args
			small.BatchSize, small.Accumulation, small.EvalBatchSize, small.Recompute = c.size, c.accumulated, c.eval, "layer"
			small.StepsPerGeneration *= c.accumulated
			fits, err := PlanRun(r.Base, small, r.TrainSet, r.EvalSet, nil, 0, r.Device, 0)
			require.NoError(t, err)

			r.MemoryLimit = fits.Bytes.Total()
			_, err = New(r)
			require.ErrorContains(t, err, "it would fit")
			require.True(t, strings.HasSuffix(err.Error(), c.want), "%v; want %s", err, c.want)
			r.MemoryLimit = 1000
			_, err = New(r)
			require.ErrorContains(t, err, "even one sequence at a time")
			require.NoDirExists(t, r.Args.OutputDir)
		})
	}
}
