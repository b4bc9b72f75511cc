package cpu

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

func TestMemoryIsZeroedAndChecked(t *testing.T) {
	d, err := New(Options{BLAS: "gonum"})
	require.NoError(t, err)
	m := bindings.NewMemory()
	x := m.Arena(bindings.Activations).New(bindings.F32, 1000, 1000)
	require.NoError(t, m.Commit(d))
	defer m.Close()
	for i, v := range f32(x) {
		if v != 0 {
			t.Fatalf("element %d is %g", i, v)
		}
	}
	require.ErrorContains(t, d.Write(x, make([]byte, 3)), "write 3 bytes to F32[1000, 1000], which has 4000000")
	require.ErrorContains(t, d.Read(make([]byte, 3), x), "read 3 bytes")
}

func TestMemoryThatIsNotThere(t *testing.T) {
	d, err := New(Options{BLAS: "gonum"})
	require.NoError(t, err)
	m := bindings.NewMemory()
	m.Arena(bindings.Activations).New(bindings.F32, 1<<30, 1<<26)
	require.ErrorContains(t, m.Commit(d), "map ")
}

// TestScratchIsPlanned checks that an operation fails without its scratch.
func TestScratchIsPlanned(t *testing.T) {
	d, err := New(Options{BLAS: "gonum"})
	require.NoError(t, err)
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	x := a.New(bindings.F32, 3, 8)
	w := a.New(bindings.BF16, 5, 8)
	y := a.New(bindings.F32, 3, 5)
	require.NoError(t, m.Commit(d))
	defer m.Close()
	op := &bindings.Project{X: x, Parts: []bindings.Part{{Linear: &bindings.Linear{Name: "l", Weight: bindings.Weight{Out: 5, In: 8, Dense: w}}, Y: y}}}
	d.Run(op)
	require.ErrorContains(t, d.Sync(), "bytes of scratch, but the plan has 0")
	require.NoError(t, d.Sync(), "an error is returned once")
	require.Equal(t, Profile(Options{BLAS: "gonum"}).Needs(op), d.Needs(op), "planning and running need the same")
}

func TestChoiceOfBLAS(t *testing.T) {
	_, err := New(Options{BLAS: "/nowhere/libopenblas.so"})
	require.ErrorContains(t, err, "/nowhere/libopenblas.so")

	file := t.TempDir() + "/libopenblas.so"
	require.NoError(t, os.WriteFile(file, []byte("no library"), 0o600))
	_, err = New(Options{BLAS: file})
	require.ErrorContains(t, err, file)

	t.Setenv(Variable, "gonum")
	d, err := New(Options{})
	require.NoError(t, err)
	require.Equal(t, "gonum", d.Describe().String())

	t.Setenv(Variable, "")
	d, err = New(Options{})
	require.NoError(t, err)
	looked := strings.Join(d.Describe().Looked, "\n")
	require.Contains(t, looked, "build/toolchain/lib/libopenblas.so", "the paths tried are reported in any case")
}

// TestRefusals runs operations that pass their check but that this device rejects.
func TestRefusals(t *testing.T) {
	_, err := New(Options{Compute: bindings.F16})
	require.ErrorContains(t, err, "the CPU computes in F32 or BF16, not in F16")
	d, err := New(Options{BLAS: "gonum"})
	require.NoError(t, err)
	m := bindings.NewMemory()
	a := m.Arena(bindings.Activations)
	wide := a.New(bindings.F32, 3, 8)
	require.NoError(t, m.Commit(d))
	defer m.Close()
	view := wide.Columns(0, 4)
	require.ErrorContains(t, d.Write(view, make([]byte, view.Bytes())), "a view of columns")
	require.ErrorContains(t, d.Read(make([]byte, view.Bytes()), view), "a view of columns")
	for _, op := range bindings.Operations() {
		require.True(t, operations.Has(op), op.Name())
	}
	d.Run(&bindings.Clamp{X: wide})
	require.ErrorContains(t, d.Close(), "clamp: Limit is 0", "an error that no Sync has returned")
	require.NoError(t, d.Close())
}
