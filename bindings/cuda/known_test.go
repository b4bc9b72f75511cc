package cuda

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// openDry opens an emulator that runs no kernel.
func openDry(t testing.TB) *Device {
	t.Helper()
	d := openEmulatorWith(t, Options{Emulated: true, Dry: true})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// launches returns how often kernels whose names begin so were launched.
func launches(t testing.TB, d *Device, names string) (n int64) {
	t.Helper()
	all, err := d.Counts()
	require.NoError(t, err)
	for _, c := range all {
		if strings.HasPrefix(c.Kernel, names) {
			n += c.Launches
		}
	}
	return n
}

// TestIndicesAreCheckedOnce rotates by the same positions several times, and by positions that were written
// or zeroed since.
func TestIndicesAreCheckedOnce(t *testing.T) {
	d := openDry(t)
	m := bindings.NewMemory()
	a := m.Arena(bindings.Inputs)
	x, cos, sin := a.New(bindings.BF16, 3, 32), a.New(bindings.F32, 9, 8), a.New(bindings.F32, 9, 8)
	at, others, longer := a.New(bindings.I32, 1, 3), a.New(bindings.I32, 1, 3), a.New(bindings.F32, 12, 8)
	require.NoError(t, m.Commit(d))
	t.Cleanup(m.Close)
	checks := func(change func(), table bindings.Tensor) int64 {
		change()
		before := launches(t, d, "check_values")
		for range 3 {
			d.Run(&bindings.RoPE{X: x, Heads: 2, HeadDim: 16, Positions: at, Cos: table.Head(table.Rows), Sin: sin.Head(min(sin.Rows, table.Rows))})
		}
		return launches(t, d, "check_values") - before
	}
	nothing := func() {}
	require.EqualValues(t, 1, checks(nothing, cos), "three rotations")
	require.EqualValues(t, 0, checks(nothing, cos), "three more")
	require.EqualValues(t, 1, checks(func() { require.NoError(t, d.Write(at, make([]byte, 12))) }, cos), "after a write")
	require.EqualValues(t, 1, checks(func() { d.Run(&bindings.Zero{T: at}) }, cos), "after they were zeroed")
	require.EqualValues(t, 1, checks(func() { d.Run(&bindings.Copy{Dst: at, Src: others}) }, cos), "after a copy")
	require.EqualValues(t, 1, checks(func() { require.NoError(t, d.Sync()) }, cos), "after a sync, which forgets failures")
	require.EqualValues(t, 0, checks(func() { d.Run(&bindings.Zero{T: longer}) }, cos), "after other memory was zeroed")
	require.NoError(t, d.Sync())
}

// TestScratchIsTakenFromThePlan runs an operation that needs more than is planned, on a device that does not
// plan it first.
func TestScratchIsTakenFromThePlan(t *testing.T) {
	d := openDry(t)
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	x, w, rstd := a.New(bindings.BF16, 4, 8), a.New(bindings.F32, 1, 8), a.New(bindings.F32, 1, 4)
	dx, grad := a.New(bindings.BF16, 4, 8), a.New(bindings.F32, 1, 8)
	room := a.New(bindings.U8, 1, 256)
	require.NoError(t, m.Commit(d))
	t.Cleanup(m.Close)
	op := &bindings.NormBackward{Norm: bindings.Norm{X: x, Weight: w, RStd: rstd}, DY: x, DX: dx, DWeight: grad}
	d.Run(op)
	require.ErrorContains(t, d.Sync(), "norm backward needs 256 bytes of scratch, but the plan has 0")
	require.Zero(t, launches(t, d, "norm_backward"))
	d.UseScratch(room, bindings.Tensor{})
	d.Run(op)
	require.NoError(t, d.Sync())
}
