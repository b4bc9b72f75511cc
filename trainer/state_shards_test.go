package trainer

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/internal/tinymodel"
)

// wide is the configuration of a model whose embedding and head are of more than one piece of the
// gradient's norm, so that ranks have parts of them.
const wide = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 7000, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}`

// wideRun is worldRun with full fine-tuning of a wide model.
func wideRun(t testing.TB, compute bindings.DType) Run {
	t.Helper()
	r := worldRun(t)
	dir := t.TempDir()
	require.NoError(t, tinymodel.Write(dir, wide, tinymodel.Normal(0.08)))
	base, err := OpenBase(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, base.Close()) })
	base.Name = "wide"
	r.Base = base
	if compute != bindings.F32 {
		dev, err := cpu.New(cpu.Options{Threads: 1, Compute: compute})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, dev.Close()) })
		r.Device = dev
	}
	return r
}

// stateCases are runs whose bits may not depend on who has the optimizer's state.
var stateCases = []struct {
	name   string
	run    func(t testing.TB) Run
	change func(*Run)
}{
	{"full, 8-bit moments", func(t testing.TB) Run { return wideRun(t, bindings.F32) }, func(r *Run) {
		r.Args.Optimizer, r.Args.OptimArgs = "adamw_8bit", "min_8bit_size=256"
	}},
	{"full, bfloat16 with masters", func(t testing.TB) Run { return wideRun(t, bindings.BF16) }, func(r *Run) { r.Args.WeightDecay = 0.1 }},
	{"dropout, evaluations", worldRun, func(r *Run) { r.Args.SaveStrategy, r.Args.LoadBest = StrategySteps, true }},
	{"dora, lora+, lion", worldRun, func(r *Run) {
		r.Base.Lora.DoRA = true
		r.Args.Optimizer, r.Args.LoraPlusRatio = "lion_32bit", 4
	}},
	{"sgd without moments, modules_to_save", worldRun, func(r *Run) {
		r.Args.Optimizer = "sgd"
		r.Base.Lora.ModulesToSave = []string{"lm_head", "norm"}
	}},
	{"grpo", worldRun, func(r *Run) {
		sample(r)
		r.Args.MaxSteps, r.Args.WorldSize, r.Args.BatchSize, r.Args.Accumulation = 8, 4, 2, 1
		r.Args.StepsPerGeneration, r.Args.NumGenerations = 2, 8
	}},
	{"two rounds of three micro-batches", worldRun, func(r *Run) { r.Args.WorldSize, r.Args.Accumulation = 3, 2 }},
}

// TestSharedStateGivesTheSameBits trains the same run on one rank and on 2 to 4 that share out the
// optimizer's state, the sums of gradients and, with adapters, the base, and resumes it with
// these shared and whole by turns.
func TestSharedStateGivesTheSameBits(t *testing.T) {
	defer func(n int) { atOnce = n }(atOnce)
	atOnce = 1 << 15 // several stretches
	for i, c := range fewer(stateCases) {
		t.Run(c.name, func(t *testing.T) {
			made := func() Run {
				r := c.run(t)
				c.change(&r)
				return r
			}
			alone := made()
			require.NoError(t, train(t, t.Context(), alone))
			want := outcome(t, alone.Args.OutputDir)
			kinds := []string{ShardOptim, ShardGrad}
			if alone.Base.Lora != nil && !alone.Args.objective().samples {
				kinds = append(kinds, ShardFull)
			}
			for ranks := 2; ranks <= 4; ranks++ {
				r := made()
				r.Args.FSDP = kinds[(i+ranks)%len(kinds)]
				if ranks > r.Args.window() {
					continue
				}
				require.NoError(t, train(t, t.Context(), onRanks(t, r, ranks)), "%d ranks, %s", ranks, r.Args.FSDP)
				requireSame(t, want, outcome(t, r.Args.OutputDir), fmt.Sprintf("%d ranks, %s", ranks, r.Args.FSDP))
			}
			r := made()
			r.Args.Resume = ResumeNewest
			for i, ranks := range []int{3, 1, 2} {
				ctx, cancel := context.WithCancel(t.Context())
				r.Args.FSDP = []string{ShardGrad, ShardNo, ShardOptim}[i]
				r.Outputs = []Output{&stopper{after: i + 1, cancel: cancel}}
				err := train(t, ctx, onRanks(t, r, ranks))
				require.True(t, err == nil || errors.Is(err, ErrInterrupted), "on %d ranks: %v", ranks, err)
				r.Args.WorldSize = 0 // the checkpoint's
				cancel()
			}
			r.Outputs, r.Args.FSDP = nil, ShardGrad
			require.NoError(t, train(t, t.Context(), onRanks(t, r, 2)))
			requireSame(t, want, outcome(t, r.Args.OutputDir), "resumed on 1, 2 and 2 ranks, shared out and whole by turns")
		})
	}
}

// TestCutsOfState divides parameters among ranks.
func TestCutsOfState(t *testing.T) {
	for _, c := range []struct {
		sizes        []int
		ranks, piece int
		want         string
	}{
		{[]int{10}, 3, 256, "[[{0 0 10}] [] []]"},
		{[]int{1000, 24, 1000}, 2, 256, "[[{0 0 1000} {1 0 24}] [{2 0 1000}]]"},
		{[]int{2048}, 3, 256, "[[{0 0 768}] [{0 768 1536}] [{0 1536 2048}]]"},
		{[]int{300, 700, 300}, 4, 256, "[[{0 0 300} {1 0 256}] [{1 256 512}] [{1 512 700}] [{2 0 300}]]"},
	} {
		var params []bindings.Param
		arena := bindings.NewArena()
		for _, n := range c.sizes {
			params = append(params, bindings.Param{Grad: arena.New(bindings.F32, 1, n)})
		}
		require.Equal(t, c.want, fmt.Sprint(cutState(params, c.ranks, c.piece)), "%v among %d ranks in pieces of %d", c.sizes, c.ranks, c.piece)
	}
}
