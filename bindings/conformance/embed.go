package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

var denseTypes = []bindings.DType{bindings.F32, bindings.BF16, bindings.F16}

func runEmbed(t *testing.T, s *suite) {
	for _, c := range []struct{ tokens, vocabulary, hidden, pad int }{
		{1, 1, 1, -1}, {7, 5, 67, -1}, {130, 31, 192, 3}, {64, 100, 129, 0},
	} {
		for _, dtype := range denseTypes {
			s.row(t, fmt.Sprintf("%v %+v", dtype, c), func(f *fixture) {
				id := make([]int32, c.tokens)
				for i := range id {
					id[i] = int32(f.rng.IntN(c.vocabulary))
				}
				ids := f.ints("IDs", id)
				table := f.input("Table", dtype, c.vocabulary, c.hidden, 1)
				y := f.output("Y", f.act, c.tokens, c.hidden)
				dy := f.input("DY", f.act, c.tokens, c.hidden, 1)
				dtable := f.input("DTable", bindings.F32, c.vocabulary, c.hidden, 1)
				op := &bindings.Embed{
					IDs: ids.Tensor, Table: table.Tensor, Y: y.Tensor,
					DY: dy.Tensor, DTable: dtable.Tensor, Pad: int32(c.pad),
				}
				f.run([]any{op}, func() { f.dev.Embed(op); f.dev.EmbedBackward(op) }, dtable)

				want := make([]float64, 0, y.Len())
				grad := append([]float64(nil), dtable.values...)
				for i, id := range id {
					want = append(want, table.values[int(id)*c.hidden:int(id+1)*c.hidden]...)
					if id != int32(c.pad) {
						axpy(grad[int(id)*c.hidden:int(id+1)*c.hidden], 1, dy.values[i*c.hidden:])
					}
				}
				y.equals(1, want)
				dtable.equals(c.tokens, grad)
			})
		}
	}
}
