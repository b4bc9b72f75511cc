package kernels_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu/kernels"
)

// TestPartsOfPanels checks that a part of the depth of a right panel is a packed operand.
func TestPartsOfPanels(t *testing.T) {
	for _, family := range families() {
		t.Run(family.Info().Name, func(t *testing.T) {
			info := family.Info()
			p := newProduct(t, rand.New(rand.NewPCG(6, 1)), form{transposed: true}, 9, 3*info.Cols-1, 5*info.Unit+7, 0)
			packed := memory[byte](t, info.RightBytes(p.cols, p.depth))
			family.PackRight(packed, &p.right, p.cols, p.depth, 1)
			for _, from := range []int{0, info.Unit, 3 * info.Unit} {
				for _, depth := range []int{1, info.Unit, p.depth - from} {
					part := *p
					part.left, part.right, part.depth = p.left.At(0, from), p.right.At(0, from), depth
					want := part.run(t, family, depth)
					left, sums := memory[byte](t, info.LeftBytes(p.rows, depth)), memory[float32](t, p.rows*p.cols)
					family.PackLeft(left, &part.left, p.rows, depth, scale)
					for col := 0; col < p.cols; col += info.Cols {
						right := packed[info.RightPart(col, p.depth, from):]
						family.Multiply(sums[col:], p.cols, left, right, p.rows, min(info.Cols, p.cols-col), depth, false)
					}
					if family == kernels.Gonum { // a BLAS promises no bits
						require.InDeltaSlice(t, want, sums, 1e-5, "a depth of %d from %d on", depth, from)
						continue
					}
					require.Equal(t, want, sums, "a depth of %d from %d on", depth, from)
				}
			}
		})
	}
}
