package trainer

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/lora"
)

// TestEmbeddingOnTheHost trains, evaluates and completes prompts on the emulator with the embedding in the host's memory: the
// bits are those of one on the device, which has less to hold, by exactly the table.
func TestEmbeddingOnTheHost(t *testing.T) {
	run := func(where string) (Run, *RunPlan, []Sample) {
		r, recorded := emulatedRun(t, 2), new(sampleRecorder)
		r.Device, r.Prompts, r.Outputs, r.Args.EmbeddingOnHost = cudatest.Emulator(t), tinyPrompts(), []Output{recorded}, where
		tr, err := New(r)
		require.NoError(t, err)
		plan := tr.Plan()
		require.NoError(t, tr.Train(t.Context()))
		return r, plan, recorded.samples
	}
	here, on, said := run(OffloadFalse)
	there, off, same := run(OffloadTrue)
	require.False(t, on.Embedding)
	require.True(t, off.Embedding)
	require.EqualValues(t, 96*64*2, off.Bytes.Host(), "the table in bfloat16")
	require.Zero(t, on.Bytes.Host())
	require.Equal(t, on.Bytes.Total()-off.Bytes.Host(), off.Bytes.Total())
	adapter := func(r Run) []byte {
		b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "adapter_model.safetensors"))
		require.NoError(t, err)
		return b
	}
	require.Equal(t, adapter(here), adapter(there))
	require.NotEmpty(t, said)
	require.Equal(t, said, same)
	require.Equal(t, lossesOf(t, here.Args.OutputDir), lossesOf(t, there.Args.OutputDir))
}

// TestEmbeddingOnTheHostIsChosen plans 8B for less memory than it needs: the table leaves before a micro-batch is divided or
// anything is recomputed, and only then.
func TestEmbeddingOnTheHostIsChosen(t *testing.T) {
	base := llama8B(t)
	const sequences, table = 2, 128256 * 4096 * 2
	stay := func(a *Args) { a.EmbeddingOnHost = OffloadFalse }
	whole := planOf8B(t, base, sequences, math.MaxInt64, stay)
	parts := planOf8B(t, base, sequences, 0, stay)
	require.Equal(t, "recompute none", parts.Fitting().String())

	require.False(t, planOf8B(t, base, sequences, whole.Bytes.Total(), nil).Embedding, "all fits")
	require.False(t, planOf8B(t, base, sequences, parts.Bytes.Total(), nil).Embedding, "all but whole weights fits")
	short := planOf8B(t, base, sequences, parts.Bytes.Total()-1, nil)
	require.Equal(t, "recompute none, the embedding in the host's memory, weights decoded whole", short.Fitting().String())
	require.EqualValues(t, table, short.Bytes[bindings.HostEmbedding])
	require.Equal(t, whole.Bytes.Total()-table, short.Bytes.Total())
	require.EqualValues(t, parts.Bytes[bindings.Weights16Bit]-table, short.Bytes[bindings.Weights16Bit])

	always := planOf8B(t, base, sequences, 0, func(a *Args) { a.EmbeddingOnHost = OffloadTrue })
	require.Equal(t, parts.Bytes.Total()-table, always.Bytes.Total())
	never := planOf8B(t, base, sequences, parts.Bytes.Total()-1, stay)
	require.Positive(t, never.Part)
	require.False(t, never.Embedding)
}

// TestEmbeddingThatStays refuses to move an embedding that is trained or the head; auto leaves it on the device.
func TestEmbeddingThatStays(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Base)
		why    string
	}{
		"tied":         {func(b *Base) { b.Config.Tied = true }, "this model's output head is its embedding"},
		"trained":      {func(b *Base) { b.Lora.ModulesToSave = []string{"embed_tokens"} }, "the embedding is trained"},
		"trained rows": {func(b *Base) { b.Lora.Tokens = lora.TrainableTokens{IDs: []int32{3, 4}} }, "the embedding is trained"},
		"full":         {func(b *Base) { b.Lora, b.Quantize = nil, nil }, "the embedding is trained"},
	} {
		t.Run(name, func(t *testing.T) {
			base := llama8B(t)
			c.change(base)
			a := DefaultArgs()
			a.BatchSize, a.GradientCheckpointing, a.OutputDir, a.EmbeddingOnHost = 1, false, "unused", OffloadTrue
			_, err := PlanRun(base, a, nil, nil, nil, 256, cuda.Profile(), 0)
			require.ErrorContains(t, err, "`embedding_on_host` is true, but "+c.why+": leave it out")
			a.EmbeddingOnHost = OffloadAuto
			p, err := PlanRun(base, a, nil, nil, nil, 256, cuda.Profile(), 1)
			require.NoError(t, err)
			require.False(t, p.Embedding)
			require.Zero(t, p.Bytes[bindings.HostEmbedding])
		})
	}
	separate := llama8B(t)
	separate.Config.Tied = true
	separate.Lora.ModulesToSave = []string{"lm_head"}
	require.True(t, planOf8B(t, separate, 1, 0, func(a *Args) { a.EmbeddingOnHost = OffloadTrue }).Embedding, "a tied head that is trained has a table of its own")
}

// TestEmbeddingOfTheHost ignores the option, with a note, where all memory is the host's.
func TestEmbeddingOfTheHost(t *testing.T) {
	r := tinyRun(t)
	r.Args.EmbeddingOnHost = OffloadTrue
	var notes []string
	r.Note = func(text string) { notes = append(notes, text) }
	tr, err := New(r)
	require.NoError(t, err)
	require.False(t, tr.Plan().Embedding)
	require.Contains(t, notes, "`embedding_on_host` has no effect: cpu computes in the host's memory")
}
