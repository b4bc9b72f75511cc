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

// BenchmarkTogether measures the time of a step of several sequences that are decoded
// together, as BenchmarkGenerate does that of one.
func BenchmarkTogether(b *testing.B) {
	architecture := "135m"
	if *tiny {
		architecture = "tiny"
	}
	weights := newRandomWeights(b, architecture)
	for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
		for _, sequences := range []int{1, 2, 4, 8, 16} {
			b.Run(fmt.Sprintf("model=%s/compute=%v/sequences=%d", architecture, compute, sequences), func(b *testing.B) {
				dev, err := cpu.New(cpu.Options{Compute: compute})
				require.NoError(b, err)
				defer dev.Close()
				together(b, dev, weights, sequences)
			})
		}
	}
}

func together(b *testing.B, dev bindings.Device, weights *randomWeights, sequences int) {
	options := nn.Options{Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
	t, err := lora.Assemble(weights.config, nil, options, nil, dev.Info())
	require.NoError(b, err)
	defer t.Close()
	const length = 32
	t.Plan(dev, nn.Shapes{Generate: length + generated, Together: nn.Together{Sequences: sequences}})
	require.NoError(b, t.Load(dev, lora.Values{Base: weights}))
	var took []time.Duration
	for b.Loop() {
		d := t.Model.NewDecoder(dev)
		var all []*nn.Sequence
		for i := range sequences {
			s, err := d.Begin(randomIDs(weights.config.Vocabulary, i+1, length)[i], generated, nil)
			require.NoError(b, err)
			all = append(all, s)
		}
		require.NoError(b, d.Extend(all...))
		sampler := nn.NewSampler(nn.Sampling{})
		for n := range generated {
			began := time.Now()
			for _, s := range all {
				id, err := sampler.Next(s.Logits(), n)
				require.NoError(b, err)
				s.Append(id)
			}
			require.NoError(b, d.Extend(all...))
			took = append(took, time.Since(began))
		}
		d.Close()
	}
	slices.Sort(took)
	middle := took[len(took)/2]
	b.ReportMetric(float64(middle.Nanoseconds()), "ns/op")
	b.ReportMetric(float64(sequences)/middle.Seconds(), "tokens/s")
}
