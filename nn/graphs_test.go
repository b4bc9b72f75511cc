package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/nf4"
	"qlora/nn"
)

// TestGraphsGenerateTheSame generates sequences of two sets of adapters on the emulator, alone and
// together, with tokens replayed as graphs and without: logits have the same bits. The emulator
// compares each replayed launch with the one that was captured.
func TestGraphsGenerateTheSame(t *testing.T) {
	dir := writeTiny(t, tinyConfigs["llama"])
	how := nn.Options{Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
	run := func(mode cuda.GraphMode) (alone, together [][][]float32, stats cuda.GraphStats) {
		dev := cudatest.Open(t, cuda.Options{Emulated: true, Graphs: mode, Note: func(note string) { t.Error(note) }})
		alone, together = generateBothWays(t, dir, dev, how, 20, 3, 11)
		return alone, together, dev.GraphStats()
	}
	alone, together, _ := run(cuda.GraphsOff)
	require.Equal(t, alone, together, "logits of a sequence depend on the others")
	replayed, replayedTogether, stats := run(cuda.GraphsOn)
	require.Equal(t, alone, replayed, "logits of a sequence alone differ with graphs")
	require.Equal(t, together, replayedTogether, "logits of sequences together differ with graphs")
	require.Greater(t, stats.Replayed, 5*stats.Captured, "%+v", stats)
}
