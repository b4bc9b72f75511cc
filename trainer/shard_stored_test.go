package trainer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/internal/tinymodel"
	"qlora/lora/export"
	"qlora/nn/quantize"
)

// letters is a tokenizer of deep's 96 tokens, as a GGUF file needs one.
func letters(t *testing.T) []byte {
	t.Helper()
	vocabulary := map[string]int{}
	for r := '!'; r <= '~'; r++ {
		vocabulary[string(r)] = len(vocabulary)
	}
	added := []map[string]any{{"id": 94, "content": "<s>", "special": true}, {"id": 95, "content": "</s>", "special": true}}
	text, err := json.Marshal(map[string]any{
		"added_tokens": added, "pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
		"decoder": map[string]any{"type": "ByteLevel"}, "model": map[string]any{"type": "BPE", "vocab": vocabulary, "merges": [][2]string{}},
	})
	require.NoError(t, err)
	return text
}

// onBase returns worldRun on a base that is stored at path.
func onBase(t *testing.T, path string, keep bool) Run {
	t.Helper()
	r := worldRun(t)
	base, err := OpenBase(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, base.Close()) })
	base.Name, base.Quantize, base.Lora = "stored", r.Base.Quantize, r.Base.Lora
	base.Quantize.Keep = keep
	r.Base, r.Files = base, []File{}
	return r
}

// TestStoredBaseIsShared trains on bases that are stored in 4 or 8 bits, whole and shared by three
// ranks, with an evaluation and samples at every third step.
func TestStoredBaseIsShared(t *testing.T) {
	model := t.TempDir()
	require.NoError(t, tinymodel.Write(model, deep, tinymodel.Normal(0.08)))
	require.NoError(t, os.WriteFile(filepath.Join(model, "tokenizer.json"), letters(t), 0o600))
	exported := func(t *testing.T, outtype string) string {
		file := filepath.Join(t.TempDir(), "model.gguf")
		job, err := export.NewJob(export.Options{Model: model, Format: "gguf", OutFile: file, OutType: outtype}, nil)
		require.NoError(t, err)
		defer job.Close()
		require.NoError(t, job.Write(t.Context(), nil))
		return file
	}
	for _, c := range []struct {
		name  string
		write func(t *testing.T) string
		keep  bool
	}{
		{"bitsandbytes, NF4", func(t *testing.T) string {
			out := filepath.Join(t.TempDir(), "nf4")
			job, err := quantize.NewJob(model, out, quantize.DefaultOptions())
			require.NoError(t, err)
			defer job.Close()
			require.NoError(t, job.Write(t.Context(), nil))
			return out
		}, false},
		{"Q8_0, held as it is", func(t *testing.T) string { return exported(t, "q8_0") }, true},
		{"IQ4_NL, held as it is", func(t *testing.T) string { return exported(t, "iq4_nl") }, true},
		{"IQ4_NL, quantized again", func(t *testing.T) string { return exported(t, "iq4_nl") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.write(t)
			var want map[string]string
			var samples []Sample
			for _, ranks := range []int{1, 3} {
				r := onBase(t, path, c.keep)
				r.Args.FSDP = ShardFull
				recorded := new(sampleRecorder)
				r.Outputs = []Output{recorded}
				tr, err := New(onRanks(t, r, ranks))
				require.NoError(t, err)
				require.Equal(t, ranks > 1, tr.Plan().Bytes[bindings.Gathered0] > 0, "%d ranks share it", ranks)
				require.NoError(t, tr.Train(t.Context()))
				if ranks == 1 {
					want, samples = outcome(t, r.Args.OutputDir), recorded.samples
					require.Len(t, samples, 9, "three prompts at three evaluations")
					continue
				}
				requireSame(t, want, outcome(t, r.Args.OutputDir), fmt.Sprintf("shared by %d ranks", ranks))
				require.Equal(t, samples, recorded.samples, "of %d ranks", ranks)
			}
		})
	}
}

// TestDividedMicroBatchesOfASharedBase divides micro-batches that do not fit: a rank that has fewer
// parts gathers as often as the others.
func TestDividedMicroBatchesOfASharedBase(t *testing.T) {
	made := func(fsdp string, batch, accumulation int) Run {
		r := deepRun(t)
		r.TrainSet, r.EvalSet, r.Args.EvalStrategy, r.Args.Recompute = alike(32), nil, StrategyNo, "none"
		r.Args.WorldSize, r.Args.Epochs, r.Args.FSDP = 2, 4, fsdp
		r.Args.BatchSize, r.Args.Accumulation = batch, accumulation
		r.Prompts = nil
		return r
	}
	var want map[string]string
	for _, fsdp := range []string{ShardNo, ShardFull} {
		r, halves := made(fsdp, 4, 2), made(fsdp, 2, 4)
		ranks := 1
		if fsdp == ShardFull {
			ranks = 2
		}
		halves.Args.ShareAmong(ranks, ranks)
		least, err := PlanRun(halves.Base, halves.Args, halves.TrainSet, nil, nil, 0, halves.Device, 0)
		require.NoError(t, err)
		r.MemoryLimit = least.Bytes.Total()
		tr, err := New(onRanks(t, r, ranks))
		require.NoError(t, err)
		require.Equal(t, 12, tr.Plan().Part, "`fsdp` %s", fsdp)
		require.Equal(t, r.MemoryLimit, tr.Plan().Bytes.Total(), "`fsdp` %s", fsdp)
		require.NoError(t, tr.Train(t.Context()))
		if want == nil {
			want = outcome(t, r.Args.OutputDir)
		}
		requireSame(t, want, outcome(t, r.Args.OutputDir), "in parts, `fsdp` "+fsdp)
	}
}

// TestResumedWithAnotherShare begins a run whole on one rank, goes on with a base on each of two
// hosts, then with one that three ranks share, and ends whole on two.
func TestResumedWithAnotherShare(t *testing.T) {
	alone := deepRun(t)
	require.NoError(t, train(t, t.Context(), alone))
	want := outcome(t, alone.Args.OutputDir)
	first := deepRun(t)
	for i, c := range []struct {
		fsdp     string
		machines []string
	}{
		{ShardNo, []string{"a"}}, {ShardHybrid, []string{"a", "b", "b", "a"}}, {ShardFull, []string{"a", "b", "b"}}, {ShardNo, []string{"a", "b"}},
	} {
		runs := onMachines(t, c.machines...)
		ctx, cancel := context.WithCancel(t.Context())
		for rank := range runs {
			runs[rank].Args.FSDP, runs[rank].Args.Resume = c.fsdp, ResumeNewest
			runs[rank].Args.OutputDir = filepath.Join(t.TempDir(), "unused")
		}
		runs[0].Args.OutputDir = first.Args.OutputDir
		if i < 3 {
			runs[0].Outputs = []Output{&stopper{after: 2*i + 2, cancel: cancel}}
		}
		for rank, err := range asProcessesUntil(t, ctx, runs...) {
			if i < 3 {
				require.ErrorIs(t, err, ErrInterrupted, "rank %d, `fsdp` %s", rank, c.fsdp)
			} else {
				require.NoError(t, err, "rank %d, `fsdp` %s", rank, c.fsdp)
			}
		}
		cancel()
	}
	requireSame(t, want, outcome(t, first.Args.OutputDir), "resumed with other shares")
}
