package nn_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/nf4"
	"qlora/nn"
)

// generateBothWays generates sequences after prompts of the given lengths, with two sets of adapters
// that take turns, alone and together, and returns the logits of their tokens.
func generateBothWays(t *testing.T, dir string, dev bindings.Device, how nn.Options, lengths ...int) (alone, together [][][]float32) {
	t.Helper()
	const most = 7
	longest, rows := 0, 0
	for _, n := range lengths {
		longest, rows = max(longest, n+most), rows+2*(n+most)
	}
	d := loadDecodedOn(t, dir, dev, how, nn.Shapes{Generate: longest, Together: nn.Together{Sequences: 4, Rows: rows}})
	prompts := make([][]int32, len(lengths))
	for i, n := range lengths {
		prompts[i] = randomBatch(97, n).IDs
		_, logits := d.alone(t, prompts[i], most, d.adapters[i%2])
		alone = append(alone, logits)
	}
	decoder := d.NewDecoder(d.dev)
	defer decoder.Close()
	sequences, sampler := make([]*nn.Sequence, len(prompts)), nn.NewSampler(nn.Sampling{})
	together = make([][][]float32, len(prompts))
	for i, prompt := range prompts {
		var err error
		sequences[i], err = decoder.Begin(prompt, most, d.adapters[i%2])
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
	return alone, together
}

// A notRepeating device runs the operations of each token anew; it lays them out as for a repeated one if
// the flag is set.
type notRepeating struct {
	bindings.Device
	tokens bool
}

func (d notRepeating) Info() bindings.Info {
	info := d.Device.Info()
	info.RepeatsTokens = d.tokens
	return info
}

// TestRepeatedTokensHaveTheSameBits generates on the CPU, which makes the operations of a token ready
// once and runs them again, and on one that checks and divides those of each token.
func TestRepeatedTokensHaveTheSameBits(t *testing.T) {
	for _, name := range []string{"llama", "mistral", "qwen3", "bloom, dropouts, residuals of the norms"} {
		dir := writeTiny(t, tinyConfigs[name])
		how := nn.Options{Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
		for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
			var want [2][][][]float32
			for i, threads := range []int{1, 1, 1, 3} {
				dev, err := cpu.New(cpu.Options{Compute: compute, Threads: threads})
				require.NoError(t, err)
				defer dev.Close()
				runs := []bindings.Device{notRepeating{dev, false}, notRepeating{dev, true}, dev, dev}
				alone, together := generateBothWays(t, dir, runs[i], how, 20, 3, 150)
				if i == 0 {
					want = [2][][][]float32{alone, together}
					require.Equal(t, alone, together, "%s: logits of a sequence depend on the others", name)
				}
				which := fmt.Sprintf("%s in %v, %T %+v, %d threads", name, compute, runs[i], runs[i].Info().RepeatsTokens, threads)
				require.Equal(t, want[0], alone, "%s: logits of a sequence alone differ", which)
				require.Equal(t, want[1], together, "%s: logits of sequences together differ", which)
			}
		}
	}
}
