package merge

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/internal/safetensors"
)

// BenchmarkMatrix merges one adapter of rank 16 into a weight as large as those of a
// model of 7 billion parameters; bytes are those of the weight in bfloat16.
func BenchmarkMatrix(b *testing.B) {
	const side, rank = 4096, 16
	dev, err := cpu.New(cpu.Options{})
	require.NoError(b, err)
	weight := safetensors.Tensor{DType: safetensors.BF16, Shape: []int{side, side}, Data: make([]byte, 2*side*side)}
	m := matrix{
		name: "w", rows: side, cols: side, from: dense{weight, side}, product: dev.BLAS(),
		changes: []change{{rank: rank, a: make([]float32, rank*side), b: make([]float32, side*rank), scale: 2}},
	}
	b.SetBytes(int64(len(weight.Data)))
	for b.Loop() {
		require.NoError(b, m.write(b.Context(), io.Discard, safetensors.BF16))
	}
}
