package cpu

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/conformance"
	"qlora/bindings/cpu/kernels"
)

// products are the groups of operations that multiply by a family of kernels.
var products = []string{"Project", "RowNorms", "Attend", "HeadLoss"}

// small is the maximum number of elements of rows that run on emulated instructions.
const small = 1 << 16

// TestConformance computes in float32.
func TestConformance(t *testing.T) { conform(t, bindings.F32, conformance.Float32) }

// TestConformanceBFloat16 holds bfloat16 to the bounds of a GPU, with the 4-bit codes of
// bitsandbytes on a CPU.
func TestConformanceBFloat16(t *testing.T) {
	tol := conformance.BFloat16
	tol.Codes = conformance.CPU
	conform(t, bindings.BF16, tol)
}

// conform runs every operation with gonum's kernels, and those that multiply with every
// other family that multiplies activations of the type. There each row has three of its
// weight's encodings in turn, so that each encoding has a third of the shapes.
func conform(t *testing.T, compute bindings.DType, tol conformance.Tolerances) {
	all := append(kernels.Families(), kernels.Emulated()...)
	if os.Getenv("QLORA_TEST_TRIAL") != "" { // see package kernels' tests
		all = append(all, kernels.Trial()...)
	}
	if testing.Short() {
		all = []kernels.Family{kernels.Best(compute)}
	}
	for _, f := range all {
		info := f.Info()
		if compute == bindings.F32 && info.BF16 {
			continue
		}
		t.Run(info.Name, func(t *testing.T) {
			d, err := New(Options{Kernels: info.Name, Compute: compute})
			require.NoError(t, err)
			defer d.Close()
			if f == kernels.Gonum {
				conformance.Run(t, d, tol)
				return
			}
			if testing.Short() { // under the race detector, which makes the references slow
				conformance.RunSome(t, d, tol, conformance.Choice{Elements: small, Encodings: 2})
				return
			}
			tol, choice := tol, conformance.Choice{Operations: products, Encodings: 3}
			if compute == bindings.F32 {
				tol = inFloat32(d)
			}
			if info.Emulated {
				choice.Elements = small
			}
			conformance.RunSome(t, d, tol, choice)
		})
	}
}

// inFloat32 returns the tolerances of a device in float32: wider where its kernels split
// the factors of products.
func inFloat32(d *Device) conformance.Tolerances {
	if d.families.f32.Info().Rounding > 0 {
		return conformance.SplitFloat32
	}
	return conformance.Float32
}
