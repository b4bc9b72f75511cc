package cuda

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/nf4"
)

// TestExtentsNameEveryTensor walks operations whose tensors are all there.
func TestExtentsNameEveryTensor(t *testing.T) {
	memory := bindings.NewMemory()
	a := memory.Arena(bindings.Activations)
	next := func() bindings.Tensor { return a.New(bindings.F32, 2, 3) }
	linear := &bindings.Linear{
		Name:    "some.layer",
		Weight:  bindings.Weight{Out: 2, In: 64, Quantized: bindings.NewQuantized(a, 2, 64, nf4.NF4, 64, true)},
		Adapter: &bindings.Adapter{A: next(), B: next()},
	}
	for _, c := range []struct {
		op   any
		want []string
	}{
		{
			&bindings.Norm{X: next(), Weight: next(), Y: next()},
			[]string{"X", "Weight", "Y"},
		},
		{
			&bindings.Project{X: next(), Parts: []bindings.Part{{Linear: linear, Y: next()}, {Linear: &bindings.Linear{Bias: next()}, Y: next()}}},
			[]string{
				"X",
				"Parts[0].Linear.Weight.Quantized.Codes", "Parts[0].Linear.Weight.Quantized.AbsmaxCodes",
				"Parts[0].Linear.Weight.Quantized.NestedAbsmax", "Parts[0].Linear.Weight.Quantized.Map",
				"Parts[0].Linear.Weight.Quantized.Offset",
				"Parts[0].Linear.Adapter.A", "Parts[0].Linear.Adapter.B", "Parts[0].Y",
				"Parts[1].Linear.Bias", "Parts[1].Y",
			},
		},
		{
			&bindings.Attend{Q: next(), Queries: bindings.Sequences{Starts: []int32{0, 2}, Device: next()}, DV: next()},
			[]string{"Q", "Queries.Device", "DV"},
		},
		{
			&bindings.Optimize{Rule: bindings.AdamW{}, Clip: next(), Params: []bindings.Param{{Value: next(), M: bindings.Moment{Values: next()}}}},
			[]string{"Params[0].Value", "Params[0].M.Values", "Clip"},
		},
	} {
		var names []string
		walk("", reflect.ValueOf(c.op), func(name string, t bindings.Tensor) {
			if !t.Absent() {
				names = append(names, name)
			}
		})
		require.Equal(t, c.want, names)
		require.Empty(t, extents(c.op), "of memory that is only planned")
	}
}
