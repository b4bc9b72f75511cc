package conformance

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// TestBitsDiffer compares outputs of one row with those held.
func TestBitsDiffer(t *testing.T) {
	x := bindings.NewMemory().Arena(bindings.Activations).New(bindings.F32, 2, 3)
	held := Bits{}
	first := encode(bindings.F32, []float64{1, 2, 3, 4, 5, 6})
	require.Empty(t, held.differ("a row", 0, x, first))
	require.Empty(t, held.differ("another row", 0, x, encode(bindings.F32, make([]float64, 6))))
	require.Empty(t, held.differ("a row", 0, x, first))
	require.Equal(t, "2 of 6 elements have other bits than another variant's, the first at row 1, column 1: 5.5, not 5",
		held.differ("a row", 0, x, encode(bindings.F32, []float64{1, 2, 3, 4, 5.5, 7})))
	require.Empty(t, Bits(nil).differ("a row", 0, x, first))
}
