package cpu

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/conformance"
	"qlora/bindings/cpu/kernels"
)

// inFloat32 returns the tolerances of a device in float32: wider where its kernels split
// the factors of products.
func inFloat32(d *Device) conformance.Tolerances {
	if d.families.f32.Info().Rounding > 0 {
		return conformance.SplitFloat32
	}
	return conformance.Float32
}

// TestConformanceSplit holds float32 as three products of bfloat16 to its bounds, on
// emulated tiles.
func TestConformanceSplit(t *testing.T) {
	const name = "amx3-emulated"
	if _, err := kernels.Find(name); err != nil {
		t.Skipf("%s packs with AVX512-BF16, which this processor lacks", name)
	}
	d, err := New(Options{Kernels: name})
	require.NoError(t, err)
	require.Equal(t, conformance.SplitFloat32, inFloat32(d))
	conformance.RunSome(t, d, inFloat32(d), conformance.Choice{
		Operations: []string{"Project", "RowNorms", "Attend", "HeadLoss"}, Elements: 1 << 16,
	})
}
