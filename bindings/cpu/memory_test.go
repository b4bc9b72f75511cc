package cpu

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

func TestMemoryIsZeroedAndChecked(t *testing.T) {
	d, err := New(Options{Kernels: "gonum"})
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
	d, err := New(Options{Kernels: "gonum"})
	require.NoError(t, err)
	m := bindings.NewMemory()
	m.Arena(bindings.Activations).New(bindings.F32, 1<<30, 1<<26)
	require.ErrorContains(t, m.Commit(d), "map ")
}

// TestScratchIsPlanned checks that an operation fails without its scratch.
func TestScratchIsPlanned(t *testing.T) {
	d, err := New(Options{Kernels: "gonum"})
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
	require.Equal(t, Profile(Options{Kernels: "gonum"}).Needs(op), d.Needs(op), "planning and running need the same")
}

func TestChoiceOfKernels(t *testing.T) {
	_, err := New(Options{Kernels: "abacus"})
	require.ErrorContains(t, err, `choose the CPU's kernels by the option: "abacus"`)

	t.Setenv(KernelsVariable, "gonum")
	d, err := New(Options{})
	require.NoError(t, err)
	require.Contains(t, d.Info().Detail, "gonum")

	d, err = New(Options{Kernels: "portable"})
	require.NoError(t, err)
	require.Contains(t, d.Info().Detail, "portable", "the option wins")
}

// TestRefusals runs operations that pass their check but that this device rejects.
func TestRefusals(t *testing.T) {
	_, err := New(Options{Compute: bindings.F16})
	require.ErrorContains(t, err, "the CPU computes in F32 or BF16, not in F16")
	d, err := New(Options{Kernels: "gonum"})
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

// TestResidentMemoryIsPlanned checks that large pages do not make more memory resident than
// was planned, whether a block is used as a whole or in places.
func TestResidentMemoryIsPlanned(t *testing.T) {
	d, err := New(Options{Kernels: "gonum"})
	require.NoError(t, err)
	for _, bytes := range []int64{hugePage - 4096, 3*hugePage - 1, 64<<20 + 12345} {
		for _, step := range []int{1, 3 << 20} {
			debug.FreeOSMemory()
			before := resident(t)
			block := &bindings.Block{Bytes: bytes}
			require.NoError(t, d.Allocate(block))
			all := unsafe.Slice((*byte)(block.Base), bytes)
			for i := 0; i < len(all); i += step {
				all[i] = 1
			}
			grown := resident(t) - before
			d.Free(block)
			const other = 1 << 20 // the test's own
			require.LessOrEqual(t, grown, bytes+other, "a block of %d bytes, written every %d", bytes, step)
			if step == 1 {
				require.Greater(t, grown, bytes-other, "a block of %d bytes", bytes)
			}
		}
	}
	require.NoError(t, d.Close())
}

func TestLargePages(t *testing.T) {
	for _, c := range []struct {
		address uintptr
		n       int
		want    [][2]int
	}{
		{0, 0, nil},
		{0, 1, [][2]int{{0, 1}}},
		{hugePage, hugePage, [][2]int{{0, hugePage}}},
		{5 * hugePage, hugePage + 1, [][2]int{{0, hugePage}, {hugePage, hugePage + 1}}},
		{hugePage - 64, 64, [][2]int{{0, 64}}},
		{hugePage - 64, 2 * hugePage, [][2]int{{0, 64}, {64, hugePage + 64}, {hugePage + 64, 2 * hugePage}}},
	} {
		var got [][2]int
		for i := range largePages(c.address, c.n) {
			from, to := largePage(c.address, c.n, i)
			got = append(got, [2]int{from, to})
		}
		require.Equal(t, c.want, got, "%d bytes at %d", c.n, c.address)
	}
}

// resident returns the process's resident memory in bytes.
func resident(t *testing.T) int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}
