package trainer

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/internal/tinymodel"
)

// deep is the configuration of a model of five layers: each of the two buffers that whole
// layers are gathered into has several.
const deep = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 5, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
 "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}`

// deepRun is worldRun with a deep model.
func deepRun(t testing.TB) Run {
	t.Helper()
	r := worldRun(t)
	dir := t.TempDir()
	require.NoError(t, tinymodel.Write(dir, deep, tinymodel.Normal(0.08)))
	base, err := OpenBase(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, base.Close()) })
	base.Name, base.Quantize, base.Lora = "deep", r.Base.Quantize, r.Base.Lora
	r.Base = base
	return r
}

// shardCases are runs whose bits may not depend on where the base is.
var shardCases = []struct {
	name   string
	change func(*Run)
}{
	{"dropout", func(*Run) {}},
	{"recomputed, one rank's world", func(r *Run) {
		r.Args.Recompute, r.Args.BatchSize, r.Args.WorldSize, r.Args.Accumulation = "layer", 3, 1, 4
		r.Args.SaveStrategy, r.Args.LoadBest = StrategySteps, true
	}},
	{"lora on a dense base", func(r *Run) { r.Base.Quantize = nil }},
	{"pissa", func(r *Run) { r.Base.Lora.Init = "pissa" }},
	{"dora", func(r *Run) { r.Base.Lora.DoRA = true }},
	{"modules_to_save", func(r *Run) { r.Base.Lora.ModulesToSave = []string{"lm_head", "norm"} }},
	{"dpo", func(r *Run) { prefer(r, "dpo", 13, 5) }},
	{"kto", func(r *Run) { prefer(r, "kto", 13, 5) }},
	{"grpo", sampleInWorld},
	{"kto, reference before the first step", func(r *Run) {
		prefer(r, "kto", 13, 5)
		r.Args.Precompute = true
	}},
}

// TestShardedBaseGivesTheSameBits trains the same run on one rank and on 2 to 4 that share
// the base, and resumes it with the base shared and whole by turns.
func TestShardedBaseGivesTheSameBits(t *testing.T) {
	for i, c := range fewer(shardCases) {
		t.Run(c.name, func(t *testing.T) {
			made := func() Run {
				r := deepRun(t)
				c.change(&r)
				return r
			}
			alone := made()
			require.NoError(t, train(t, t.Context(), alone))
			want := outcome(t, alone.Args.OutputDir)
			numbers := []int{2, 3, 4}
			if i > 0 {
				numbers = numbers[1:2]
			}
			for _, ranks := range numbers {
				r := made()
				r.Args.FSDP = ShardFull
				require.NoError(t, train(t, t.Context(), onRanks(t, r, ranks)))
				requireSame(t, want, outcome(t, r.Args.OutputDir), fmt.Sprintf("shared by %d ranks", ranks))
			}
			r := made()
			r.Args.Resume = ResumeNewest
			for i, ranks := range []int{2, 3, 1} {
				ctx, cancel := context.WithCancel(t.Context())
				r.Args.FSDP = []string{ShardFull, ShardNo}[i%2]
				r.Outputs = []Output{&stopper{after: 2*i + 1, cancel: cancel}}
				err := train(t, ctx, onRanks(t, r, ranks))
				require.True(t, err == nil || errors.Is(err, ErrInterrupted), "on %d ranks: %v", ranks, err)
				r.Args.WorldSize = 0 // the checkpoint's
				cancel()
			}
			r.Outputs, r.Args.FSDP = nil, ShardFull
			require.NoError(t, train(t, t.Context(), onRanks(t, r, 2)))
			requireSame(t, want, outcome(t, r.Args.OutputDir), "resumed on 3, 1 and 2 ranks, shared and whole by turns")
		})
	}
}

// heedless leaves out one Await of a GPU.
type heedless struct {
	*cuda.Device
	awaits, forget int
}

func (h *heedless) Run(op bindings.Operation) {
	if _, ok := op.(*bindings.Await); ok {
		if h.awaits++; h.awaits == h.forget {
			return
		}
	}
	h.Device.Run(op)
}

// TestEmulatorTellsOfAnUnawaitedGather trains a step on two emulators that share a base, and leaves
// out each wait of one of them in turn.
func TestEmulatorTellsOfAnUnawaitedGather(t *testing.T) {
	shared := func(forget int) (waits int, err error) {
		r := tinyRun(t)
		dev := &heedless{Device: cudatest.Emulator(t), forget: forget}
		r.Device, r.Others = dev, []bindings.Device{cudatest.Emulator(t)}
		r.TrainSet, r.EvalSet, r.Args.EvalStrategy, r.Args.FSDP = r.TrainSet[:2], nil, StrategyNo, ShardFull
		r.Args.WorldSize, r.Args.BatchSize, r.Args.Accumulation, r.Args.MaxSteps = 2, 1, 1, 1
		err = train(t, t.Context(), r)
		return dev.awaits, err
	}
	waits, err := shared(0)
	require.NoError(t, err)
	require.Equal(t, 2, waits, "two layers, which stay for the backward")
	for forget := 1; forget <= waits; forget++ {
		_, err := shared(forget)
		require.ErrorContains(t, err, "is where what other ranks send was not awaited", "without wait %d", forget)
	}
}
