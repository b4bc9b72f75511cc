package cpu

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

// BenchmarkAttend counts the products of the scores that are not masked, half of them: two
// forward, five backward.
func BenchmarkAttend(b *testing.B) {
	for _, c := range []struct {
		model                    string
		heads, kvHeads, dim      int
		sequences, tokens, cache int
	}{
		{"SmolLM2-135M", 9, 3, 64, 4, 256, 0},
		{"SmolLM2-135M", 9, 3, 64, 1, 2048, 0},
		{"Llama-1B", 32, 8, 64, 4, 256, 0},
		{"Llama-1B", 32, 8, 64, 1, 2048, 0},
		{"Llama-8B", 32, 8, 128, 1, 512, 0},
		{"Llama-8B", 32, 8, 128, 1, 2048, 0},
		{"SmolLM2-135M", 9, 3, 64, 1, 1, 512},
		{"Llama-1B", 32, 8, 64, 8, 1, 2048},
	} {
		for _, dtype := range []bindings.DType{bindings.F32, bindings.BF16} {
			name := fmt.Sprintf("%s/%dx%d+%d/%v/", c.model, c.sequences, c.tokens, c.cache, dtype)
			var starts, keys []int32
			for i := range c.sequences + 1 {
				starts, keys = append(starts, int32(i*c.tokens)), append(keys, int32(i*(c.tokens+c.cache)))
			}
			setup := func(a *bindings.Arena) *bindings.AttendBackward {
				f := func(rows, cols int) bindings.Tensor { return a.New(dtype, rows, cols) }
				tokens, cached, width, kv := c.sequences*c.tokens, c.sequences*(c.tokens+c.cache), c.heads*c.dim, c.kvHeads*c.dim
				return &bindings.AttendBackward{
					Attend: bindings.Attend{
						Q: f(tokens, width), K: f(cached, kv), V: f(cached, kv), O: f(tokens, width), LSE: a.New(bindings.F32, tokens, c.heads),
						Queries: bindings.Sequences{Starts: starts}, Keys: bindings.Sequences{Starts: keys},
						Heads: c.heads, KVHeads: c.kvHeads, HeadDim: c.dim, Scale: 0.125,
					},
					DO: f(tokens, width), DQ: f(tokens, width), DK: f(cached, kv), DV: f(cached, kv),
				}
			}
			product := float64(c.sequences) * 2 * float64(c.heads*c.dim) * float64(c.tokens) * (float64(c.tokens+1)/2 + float64(c.cache))
			b.Run(name+"forward", func(b *testing.B) {
				benchmark(b, 2*product, func(a *bindings.Arena) bindings.Operation { return &setup(a).Attend })
			})
			if c.cache == 0 {
				b.Run(name+"backward", func(b *testing.B) {
					benchmark(b, 5*product, func(a *bindings.Arena) bindings.Operation { return setup(a) })
				})
			}
		}
	}
}
