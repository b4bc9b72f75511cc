package bench

import (
	"context"
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

// BenchmarkGenerate measures the time of a token of one sequence, decoded greedily by a
// Llama with random weights: NF4 with double quantization, the head in bfloat16, after a
// prompt of 32 tokens, on the CPU in both types of compute. GB/s counts the weights' bytes.
func BenchmarkGenerate(b *testing.B) {
	architectures := []string{"135m", "1b"}
	if *tiny {
		architectures = []string{"tiny"}
	}
	for _, architecture := range architectures {
		weights := newRandomWeights(b, architecture)
		for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
			b.Run(fmt.Sprintf("model=%s/compute=%v", architecture, compute), func(b *testing.B) {
				dev, err := cpu.New(cpu.Options{Compute: compute})
				require.NoError(b, err)
				defer dev.Close()
				generate(b, dev, weights)
			})
		}
	}
}

// generated is the number of tokens of each completion.
const generated = 64

func generate(b *testing.B, dev bindings.Device, weights *randomWeights) {
	options := nn.Options{Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
	t, err := lora.Assemble(weights.config, nil, options, nil, dev.Info())
	require.NoError(b, err)
	defer t.Close()
	prompt := randomIDs(weights.config.Vocabulary, 1, 32)[0]
	t.Plan(dev, nn.Shapes{Generate: len(prompt) + generated})
	require.NoError(b, t.Load(dev, lora.Values{Base: weights}))
	var took []time.Duration
	for b.Loop() {
		last := time.Time{}
		_, err := t.Model.Generate(context.Background(), dev, prompt, generated, nn.Sampling{}, nil, func(int32) bool {
			now := time.Now()
			if !last.IsZero() {
				took = append(took, now.Sub(last))
			}
			last = now
			return true
		})
		require.NoError(b, err)
	}
	slices.Sort(took)
	middle := took[len(took)/2]
	b.ReportMetric(float64(middle.Nanoseconds()), "ns/op")
	b.ReportMetric(1/middle.Seconds(), "tokens/s")
	plan := t.Memory.Plan()
	b.ReportMetric(mebibytes(plan.Total()), "plan-MiB")
	read := plan[bindings.Weights4Bit] + plan[bindings.Weights16Bit]
	b.ReportMetric(float64(read)/middle.Seconds()/1e9, "GB/s")
}
