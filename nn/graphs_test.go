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
	const most = 7
	run := func(mode cuda.GraphMode) (alone, together [][][]float32, stats cuda.GraphStats) {
		dev := cudatest.Open(t, cuda.Options{Emulated: true, Graphs: mode, Note: func(note string) { t.Error(note) }})
		d := loadDecodedOn(t, dir, dev, how, nn.Shapes{Generate: 40, Together: nn.Together{Sequences: 4, Rows: 150}})
		prompts := [][]int32{randomBatch(97, 20).IDs, randomBatch(97, 3).IDs, randomBatch(97, 11).IDs}
		adapters := []*nn.Overlay{d.adapters[0], d.adapters[1], d.adapters[0]}
		for i, prompt := range prompts {
			_, logits := d.alone(t, prompt, most, adapters[i])
			alone = append(alone, logits)
		}
		decoder := d.NewDecoder(d.dev)
		defer decoder.Close()
		sequences, sampler := make([]*nn.Sequence, len(prompts)), nn.NewSampler(nn.Sampling{})
		together = make([][][]float32, len(prompts))
		for i, prompt := range prompts {
			var err error
			sequences[i], err = decoder.Begin(prompt, most, adapters[i])
			require.NoError(t, err)
		}
		for n := range most {
			require.NoError(t, decoder.Extend(sequences...))
			for i, s := range sequences {
				id, err := sampler.Next(s.Logits(), n)
				require.NoError(t, err)
				together[i] = append(together[i], append([]float32(nil), s.Logits()...))
				s.Append(id)
			}
		}
		return alone, together, dev.GraphStats()
	}
	alone, together, _ := run(cuda.GraphsOff)
	require.Equal(t, alone, together, "logits of a sequence depend on the others")
	replayed, replayedTogether, stats := run(cuda.GraphsOn)
	require.Equal(t, alone, replayed, "logits of a sequence alone differ with graphs")
	require.Equal(t, together, replayedTogether, "logits of sequences together differ with graphs")
	require.Greater(t, stats.Replayed, 5*stats.Captured, "%+v", stats)
}
