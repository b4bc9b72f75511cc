package trainer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda"
	"qlora/lora"
	"qlora/nn/family"
)

// llama8B returns a base without weights of the shape of Llama 3.1 8B, in 4 bits with rank 16 on all projections.
func llama8B(t *testing.T) *Base {
	t.Helper()
	config, err := family.ParseConfig([]byte(`{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
		"num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": false}`))
	require.NoError(t, err)
	base := &Base{Config: config}
	base.LoadIn4Bit()
	base.ApplyLora(lora.Config{R: 16, Alpha: 32, Targets: lora.ParseTargets(lora.AllLinear)})
	return base
}

// planOf8B plans micro-batches of so many sequences of 2,048 tokens of 8B for a GPU with that memory.
func planOf8B(t *testing.T, base *Base, sequences int, limit int64, change func(*Args)) *RunPlan {
	t.Helper()
	a := DefaultArgs()
	a.BatchSize, a.EvalBatchSize, a.GradientCheckpointing, a.OutputDir = sequences, 1, false, "unused"
	if change != nil {
		change(&a)
	}
	p, err := PlanRun(base, a, nil, nil, nil, 2048, cuda.Profile(), limit)
	require.NoError(t, err)
	return p
}

// TestWholeWeightsWhereMemoryAllows plans copies of whole weights of 8B where they fit next to what was chosen without them:
// never by another policy, parts of micro-batches or the host's memory.
func TestWholeWeightsWhereMemoryAllows(t *testing.T) {
	base := llama8B(t)
	const sequences = 4
	unknown := planOf8B(t, base, sequences, 0, nil)
	require.False(t, unknown.Whole, "nothing is known of the memory")
	parts := unknown.Bytes.Total()

	roomy := planOf8B(t, base, sequences, 2*parts, nil)
	require.True(t, roomy.Whole)
	require.Equal(t, "recompute none, weights decoded whole", roomy.Fitting().String())
	more := roomy.Bytes.Total() - parts
	require.LessOrEqual(t, more, int64(2*28672*4096-126<<20), "gate and up together, instead of 128 MB in whole tiles")
	require.Positive(t, more)
	require.Empty(t, roomy.Tried)

	exact := planOf8B(t, base, sequences, parts+more, nil)
	require.True(t, exact.Whole)
	tight := planOf8B(t, base, sequences, parts+more-1, nil)
	require.False(t, tight.Whole)
	require.Equal(t, "recompute none", tight.Fitting().String())
	require.Equal(t, unknown.Bytes, tight.Bytes)
	require.Len(t, tight.Tried, 1)
	require.Equal(t, "recompute none, weights decoded whole", tight.Tried[0].String())
	require.Equal(t, parts+more, tight.Tried[0].Bytes)

	short := planOf8B(t, base, sequences, parts-1, func(a *Args) { a.EmbeddingOnHost = OffloadFalse })
	require.Positive(t, short.Part, "the next way is two parts of the micro-batch, with or without whole weights")
	require.LessOrEqual(t, short.Bytes.Total(), parts-1)
}
