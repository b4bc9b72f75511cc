package merge

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/checkpoint"
)

// BenchmarkMatrix merges one adapter of rank 16 into a weight of a 7-billion-parameter
// model's size. Bytes are those of the weight in bfloat16.
func BenchmarkMatrix(b *testing.B) {
	const side, rank = 4096, 16
	dev, err := cpu.New(cpu.Options{})
	require.NoError(b, err)
	weight := checkpoint.NewDense("w", checkpoint.BF16, []int{side, side}, make([]byte, 2*side*side))
	m := matrix{
		name: "w", rows: side, cols: side, from: stored{weight, side}, product: dev.LowRank,
		changes: []change{{rank: rank, a: make([]float32, rank*side), b: make([]float32, side*rank), scale: 2}},
	}
	b.SetBytes(weight.Bytes())
	for b.Loop() {
		require.NoError(b, m.write(b.Context(), io.Discard, checkpoint.BF16))
	}
}
