package cpu

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/conformance"
)

// devices runs a test with every available BLAS.
func devices(t *testing.T, opts Options, run func(t *testing.T, d *Device)) {
	t.Run("gonum", func(t *testing.T) {
		own := opts
		own.BLAS = "gonum"
		d, err := New(own)
		require.NoError(t, err)
		run(t, d)
	})
	t.Run("OpenBLAS", func(t *testing.T) {
		d, err := New(opts)
		require.NoError(t, err)
		if d.Describe().Path == "" {
			t.Skipf("no OpenBLAS was found: %q", d.Describe().Looked)
		}
		run(t, d)
	})
}

func TestConformance(t *testing.T) {
	devices(t, Options{}, func(t *testing.T, d *Device) { conformance.Run(t, d, conformance.Float32) })
}

// inBFloat16 are the groups of operations that compute in bfloat16.
var inBFloat16 = []string{"Embed", "Norm", "RoPE", "Attend", "Activate", "Add", "Clamp", "GradNorm", "Optimize", "Copy", "Quantize", "Errors"}

// TestConformanceBFloat16 holds bfloat16 to the bounds of a GPU, with the 4-bit codes of
// bitsandbytes on a CPU.
func TestConformanceBFloat16(t *testing.T) {
	tol := conformance.BFloat16
	tol.Codes = conformance.CPU
	devices(t, Options{Compute: bindings.BF16}, func(t *testing.T, d *Device) {
		conformance.RunSome(t, d, tol, conformance.Choice{Operations: inBFloat16})
	})
}
