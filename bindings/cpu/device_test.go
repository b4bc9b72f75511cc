package cpu

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/conformance"
	"qlora/bindings/cpu/kernels"
)

// devices runs a test with every family of kernels that the options' type can use: in
// float32 those that multiply it, in bfloat16 all, which are then also the emulated ones.
func devices(t *testing.T, opts Options, run func(t *testing.T, d *Device)) {
	all := kernels.Families()
	if opts.Compute == bindings.BF16 {
		all = append(all, kernels.Emulated()...)
	}
	for _, f := range all {
		if f.Info().BF16 && opts.Compute != bindings.BF16 {
			continue
		}
		t.Run(f.Info().Name, func(t *testing.T) {
			own := opts
			own.Kernels = f.Info().Name
			d, err := New(own)
			require.NoError(t, err)
			run(t, d)
			require.NoError(t, d.Close())
		})
	}
}

func TestConformance(t *testing.T) {
	devices(t, Options{}, func(t *testing.T, d *Device) { conformance.Run(t, d, inFloat32(d)) })
}

// inBFloat16 are the groups of operations that compute in bfloat16.
var inBFloat16 = []string{
	"Embed", "Norm", "Project", "RowNorms", "RoPE", "Attend", "Activate", "Add", "Clamp", "HeadLoss", "GradNorm", "Optimize",
	"Copy", "Quantize", "Errors",
}

// TestConformanceBFloat16 holds bfloat16 to the bounds of a GPU, with the 4-bit codes of
// bitsandbytes on a CPU.
func TestConformanceBFloat16(t *testing.T) {
	tol := conformance.BFloat16
	tol.Codes = conformance.CPU
	devices(t, Options{Compute: bindings.BF16}, func(t *testing.T, d *Device) {
		conformance.RunSome(t, d, tol, conformance.Choice{Operations: inBFloat16})
	})
}
