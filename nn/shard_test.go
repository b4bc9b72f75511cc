package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
)

const fiveLayers = `{"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 5, "num_attention_heads": 4,
 "num_key_value_heads": 2, "vocab_size": 96, "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "dtype": "float32"}`

// TestShardsInThePlan holds the memory of a part of a base to that of the whole one.
func TestShardsInThePlan(t *testing.T) {
	plan := func(shards int) bindings.MemoryPlan {
		c, err := family.ParseConfig([]byte(fiveLayers))
		require.NoError(t, err)
		mem := bindings.NewMemory()
		_, err = nn.New(c, nil, nn.Options{Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}, Shards: shards}, mem, bindings.Info{})
		require.NoError(t, err)
		return mem.Plan()
	}
	whole := plan(0)
	require.Equal(t, whole, plan(1))
	layer := whole[bindings.Weights4Bit] / 5
	for _, n := range []int64{2, 3, 7} {
		got := plan(int(n))
		part := (layer + n*bindings.Alignment - 1) / (n * bindings.Alignment) * bindings.Alignment
		require.Equal(t, 5*part, got[bindings.Weights4Bit], "the parts of %d ranks", n)
		require.Equal(t, n*part, got[bindings.Gathered0], "a layer of %d ranks", n)
		require.Equal(t, n*part, got[bindings.Gathered1], "a layer of %d ranks", n)
		require.Equal(t, whole[bindings.Weights16Bit], got[bindings.Weights16Bit])
	}
}

// TestGathersOfAStep counts what ranks send each other: the layers at the turns of a step are
// in their buffers already, and a rank without a micro-batch gathers as the others do.
func TestGathersOfAStep(t *testing.T) {
	c, err := family.ParseConfig([]byte(fiveLayers))
	require.NoError(t, err)
	dev, err := cpu.New(cpu.Options{Threads: 1})
	require.NoError(t, err)
	defer dev.Close()
	mem := bindings.NewMemory()
	m, err := nn.New(c, nil, nn.Options{Train: false, Shards: 2, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64}}, mem, dev.Info())
	require.NoError(t, err)
	gathers := 0
	m.ShareOut(0, func(bindings.Device, bindings.Tensor, bindings.Tensor) (func() error, error) {
		gathers++
		return func() error { return nil }, nil
	})
	b := nn.NewBatch([][]int32{{3, 4, 5}}, [][]int32{{3, 4, 5}})
	m.Parameters(bindings.OptimizerState{})
	m.Prepare(dev, nn.Shapes{Train: []*nn.Batch{b}, Evaluate: []*nn.Batch{b}})
	require.NoError(t, mem.Commit(dev))
	defer mem.Close()
	count := func(do func() error) int {
		before := gathers
		require.NoError(t, do())
		return gathers - before
	}
	require.Equal(t, 8, count(func() error { return m.Accompany(dev, nn.WalkTrain) }), "five layers, and three again in backward")
	require.Equal(t, 6, count(func() error { return m.Accompany(dev, nn.WalkTrain) }), "two are there from the backward before")
	require.Equal(t, 3, count(func() error { return m.Accompany(dev, nn.WalkEvaluate) }), "of five")
	require.Equal(t, 5, count(func() error { return m.Accompany(dev, nn.WalkEvaluate) }), "after a forward the last two are there, which come last")
}
