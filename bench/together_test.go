package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/lora"
	"qlora/nf4"
	"qlora/nn"
)

// BenchmarkGenerateTogether measures the tokens per second of several sequences, decoded
// greedily in shared passes on the CPU in bfloat16: of the model of BenchmarkGenerate, after
// prompts of 32 tokens. A pass takes up to the device's FewRows.
func BenchmarkGenerateTogether(b *testing.B) {
	architecture := "135m"
	if *tiny {
		architecture = "tiny"
	}
	weights := newRandomWeights(b, architecture)
	for _, n := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprintf("model=%s/sequences=%d", architecture, n), func(b *testing.B) {
			dev, err := cpu.New(cpu.Options{Compute: bindings.BF16})
			require.NoError(b, err)
			defer dev.Close()
			generateTogether(b, dev, weights, n)
		})
	}
}

func generateTogether(b *testing.B, dev bindings.Device, weights *randomWeights, sequences int) {
	options := nn.Options{Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
	t, err := lora.Assemble(weights.config, nil, options, nil, dev.Info())
	require.NoError(b, err)
	defer t.Close()
	prompts := randomIDs(weights.config.Vocabulary, sequences, 32)
	t.Plan(dev, nn.Shapes{Generate: 32 + generated, Together: nn.Together{Sequences: sequences}})
	require.NoError(b, t.Load(dev, lora.Values{Base: weights}))
	d := t.Model.NewDecoder(dev)
	defer d.Close()
	sampler := nn.NewSampler(nn.Sampling{})
	var took []time.Duration
	for b.Loop() {
		var all []*nn.Sequence
		for _, prompt := range prompts {
			s, err := d.Begin(prompt, generated, nil)
			require.NoError(b, err)
			require.NotNil(b, s, "the planned cache has no room for sequence %d", len(all))
			all = append(all, s)
		}
		require.NoError(b, d.Extend(all...)) // the prompts
		for range generated {
			start := time.Now()
			for i, s := range all {
				id, err := sampler.Next(s.Logits(), i)
				require.NoError(b, err)
				s.Append(id)
			}
			require.NoError(b, d.Extend(all...))
			took = append(took, time.Since(start))
		}
		for _, s := range all {
			d.End(s)
		}
	}
	slices.Sort(took)
	middle := took[len(took)/2]
	b.ReportMetric(float64(middle.Nanoseconds()), "ns/op")
	b.ReportMetric(float64(sequences)/middle.Seconds(), "tokens/s")
}
