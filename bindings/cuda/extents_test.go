package cuda

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// TestExtentsAreTheOperands has operands in the device's memory, and others that are
// only planned.
func TestExtentsAreTheOperands(t *testing.T) {
	d := openEmulator(t)
	norm := func(a *bindings.Arena) *bindings.Norm {
		return &bindings.Norm{X: a.New(bindings.BF16, 2, 8), Weight: a.New(bindings.F32, 1, 8), Y: a.New(bindings.BF16, 2, 8)}
	}
	memory := bindings.NewMemory()
	op := norm(memory.Arena(bindings.Activations))
	require.Empty(t, extents(op), "of memory that is only planned")
	require.NoError(t, memory.Commit(d))
	t.Cleanup(memory.Close)
	names := map[string]int64{}
	for _, e := range extents(op) {
		names[e.name] = e.bytes
	}
	require.Equal(t, map[string]int64{"X": 32, "Weight": 32, "Y": 32}, names)
}
