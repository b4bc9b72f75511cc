package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
)

// TestDeviceErrors checks the errors that callers distinguish, and the messages of others.
func TestDeviceErrors(t *testing.T) {
	d := cudatest.Emulator(t)
	_, err := cuda.New(cuda.Options{Emulated: true, Number: 1, Library: d.Describe().Path})
	require.ErrorIs(t, err, cuda.ErrNoDevice)

	require.ErrorIs(t, d.Allocate(&bindings.Block{Bytes: 1 << 60}), cuda.ErrOutOfMemory)

	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	x, w, rms := a.New(bindings.BF16, 4, 8), a.New(bindings.F32, 1, 8), a.New(bindings.F32, 1, 4)
	require.NoError(t, m.Commit(d))
	t.Cleanup(m.Close)
	require.ErrorContains(t, d.Write(x, make([]byte, 3)), "write 3 bytes to BF16[4, 8], which has 64")
	require.ErrorContains(t, d.Read(make([]byte, 3), x), "read 3 bytes from BF16[4, 8], which has 64")

	// Sync returns the first error only.
	d.Run(&bindings.NormBackward{Norm: bindings.Norm{X: x, Weight: w, RStd: rms}, DY: x, DX: x.Head(3)})
	d.Run(&bindings.Norm{X: x, Weight: w, Y: rms})
	require.ErrorContains(t, d.Sync(), "norm backward: DX")
	require.NoError(t, d.Sync())

	dw := bindings.NewMemory()
	grad := dw.Arena(bindings.Gradients).New(bindings.F32, 1, 8)
	dx := dw.Arena(bindings.Activations).New(bindings.BF16, 4, 8)
	require.NoError(t, dw.Commit(d))
	t.Cleanup(dw.Close)
	d.Run(&bindings.NormBackward{Norm: bindings.Norm{X: x, Weight: w, RStd: rms}, DY: x, DX: dx, DWeight: grad})
	require.ErrorContains(t, d.Sync(), "norm backward needs 256 bytes of scratch, but the plan has 0")
}
