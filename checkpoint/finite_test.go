package checkpoint

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nf4"
)

// TestCheckFinite puts NaN, infinities and the largest values at every place of short
// tensors of each type.
func TestCheckFinite(t *testing.T) {
	largest := map[DType]float32{F32: math.MaxFloat32, BF16: 0x1.fep127, F16: 65504}
	for dtype, most := range largest {
		for n := 1; n <= 11; n++ {
			x := make([]float32, n)
			for i := range x {
				x[i] = most
				if i%2 == 1 {
					x[i] = -most
				}
			}
			good := NewDense("w", dtype, []int{n}, dtype.AppendFloats(nil, x))
			require.NoError(t, good.CheckFinite("w"), "%s %d", dtype, n)
			for i := range x {
				for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
					y := append([]float32(nil), x...)
					y[i] = bad
					err := NewDense("w", dtype, []int{n}, dtype.AppendFloats(nil, y)).CheckFinite("w")
					require.ErrorAs(t, err, new(*DamagedError))
					require.ErrorContains(t, err, fmt.Sprintf("as element %d: ", i))
				}
			}
		}
	}
	require.NoError(t, NewDense("ids", U8, []int{2}, []byte{0xff, 0xff}).CheckFinite("w"))
	packed := FourBit{Kind: nf4.NF4, BlockSize: 64, DType: BF16, Shape: [2]int{1, 64}, Codes: make([]byte, 32), Absmax: []float32{1}}
	require.NoError(t, packed.Tensor("w").CheckFinite("w"))
	packed.Absmax[0] = float32(math.NaN())
	require.ErrorContains(t, packed.Tensor("w").CheckFinite("w"), "scale number 0 that is not finite")
}
