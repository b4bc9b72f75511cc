package bench

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/nn"
)

// elementwise are the beginnings of the names of kernels that compute no product.
var elementwise = []string{"norm_", "rope_", "activate_", "add_", "clamp_"}

// TestTrafficOfALayer counts the bytes that the elementwise kernels of a layer's step move on the
// emulator, as the difference of models of two layers and of one. The layer has the proportions of
// Llama 3.1 8B, and its weights are in bfloat16: products of few tokens are then those of many.
// docs/kernels.md has the table, which go test -v prints.
func TestTrafficOfALayer(t *testing.T) {
	const tokens = 48
	defer func(n int) { *layers = n }(*layers)
	moved := func(n int) map[string]int64 {
		dev := cudatest.Open(t, cuda.Options{Emulated: true, Counting: true})
		*layers = n
		weights := newRandomWeights(t, "8b/32")
		r, err := newRunOf(dev, weights, randomBatch(weights.config.Vocabulary, 2, tokens/2), nn.Options{})
		require.NoError(t, err)
		defer r.Close()
		require.NoError(t, r.step())
		counts, err := dev.Counts()
		require.NoError(t, err)
		of := map[string]int64{}
		for _, c := range counts {
			if slices.ContainsFunc(elementwise, func(name string) bool { return strings.HasPrefix(c.Kernel, name) }) {
				of[c.Kernel] = 32 * c.LeastSectors
			}
		}
		return of
	}
	one, two := moved(1), moved(2)
	const inner = 448
	// Products write the activation, and in backward read gate and up and write three results in place of one.
	bytes := (2. + 8) * inner
	for kernel, n := range two {
		if more := float64(n-one[kernel]) / tokens; more > 0 {
			t.Logf("%6.0f bytes a token: %s", more, kernel)
			bytes += more
		}
	}
	t.Logf("%6.0f bytes a token and layer, %.0f %% of %d", bytes, 100*bytes/separate, separate)
	require.LessOrEqual(t, bytes, separate*mostOfTraffic)
}

// separate is what the kernels of a layer moved when each operation read its inputs and wrote its
// result, and backward computed what it did not keep by the operations of forward. mostOfTraffic is
// the ceiling of the share of it that is left.
const separate, mostOfTraffic = 16888, 0.57
