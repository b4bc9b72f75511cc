package cpu

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/conformance"
	"qlora/bindings/cpu/kernels"
)

// TestFamilies runs the operations that multiply by weights with every family of kernels
// and both types of activations.
func TestFamilies(t *testing.T) {
	tolerances := map[bindings.DType]conformance.Tolerances{bindings.F32: conformance.Float32, bindings.BF16: conformance.BFloat16}
	for _, f := range kernels.Families() {
		for dtype, tol := range tolerances {
			if dtype == bindings.F32 && f.Info().BF16 {
				continue
			}
			t.Run(fmt.Sprintf("%s in %v", f.Info().Name, dtype), func(t *testing.T) {
				d, err := New(Options{Kernels: f.Info().Name, Compute: dtype, Threads: 2})
				require.NoError(t, err)
				conformance.RunSome(t, d, tol, conformance.Choice{Operations: []string{"Project", "RowNorms", "HeadLoss"}, Elements: 1 << 18})
			})
		}
	}
}
