package cuda_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/conformance"
	"qlora/bindings/cuda/cudatest"
)

// small is the elements of rows that are worth running in every order of blocks and
// threads: ragged ones of some tiles.
const small = 1 << 17

// TestConformance runs the kernels' sources on the emulator, which faults on what a GPU
// would do wrong silently: all rows in ascending order of blocks and threads, the small
// ones in others, too.
func TestConformance(t *testing.T) {
	for _, c := range []struct {
		schedule uint64
		choice   conformance.Choice
	}{
		{0, conformance.Choice{}},
		{1, conformance.Choice{Elements: small}},
		{20240229, conformance.Choice{Elements: small}},
	} {
		t.Run(fmt.Sprintf("schedule %d", c.schedule), func(t *testing.T) {
			d := cudatest.Emulator(t)
			require.NoError(t, d.Schedule(c.schedule))
			conformance.RunSome(t, d, conformance.BFloat16, c.choice)
		})
	}
}

// TestConformanceOnGPU runs their machine code.
func TestConformanceOnGPU(t *testing.T) {
	conformance.Run(t, cudatest.GPU(t), conformance.BFloat16)
}

// TestWeightsInChunks has weights decoded 128 rows or columns at a time.
func TestWeightsInChunks(t *testing.T) {
	d := cudatest.Emulator(t)
	d.SetDecoded(1)
	conformance.RunSome(t, d, conformance.BFloat16, conformance.Choice{Operations: []string{"Project", "HeadLoss"}, Elements: small})
}
