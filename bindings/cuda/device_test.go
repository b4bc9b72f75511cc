package cuda_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/conformance"
	"qlora/bindings/cuda/cudatest"
)

// TestConformance runs the kernels' sources on the emulator, which faults on what a GPU
// would do wrong silently, in three orders of its blocks and threads.
func TestConformance(t *testing.T) {
	for _, seed := range []uint64{0, 1, 20240229} {
		t.Run(fmt.Sprintf("schedule %d", seed), func(t *testing.T) {
			d := cudatest.Emulator(t)
			require.NoError(t, d.Schedule(seed))
			conformance.Run(t, d, conformance.BFloat16)
		})
	}
}

// TestConformanceOnGPU runs their machine code.
func TestConformanceOnGPU(t *testing.T) {
	conformance.Run(t, cudatest.GPU(t), conformance.BFloat16)
}

// TestConformanceOfChunks has weights decoded 128 rows or columns at a time.
func TestConformanceOfChunks(t *testing.T) {
	d := cudatest.Emulator(t)
	d.SetDecoded(1)
	conformance.Run(t, d, conformance.BFloat16, "Project", "HeadLoss")
}
