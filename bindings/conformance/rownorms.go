package conformance

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/mat"

	"qlora/bindings"
)

func runRowNorms(t *testing.T, s *suite) {
	for _, c := range []struct{ out, in, rank int }{
		{1, 1, 1}, {13, 67, 3}, {257, 64, 16}, {65, 300, 8}, {2090, 2051, 2},
	} {
		for _, h := range s.holdings() {
			if c.out > 2000 && !h.double {
				continue // large: one encoding is enough
			}
			s.row(t, fmt.Sprintf("%s %+v", h.name, c), func(f *fixture) {
				weight, values := f.weight("Weight", h, c.out, c.in)
				a, b := f.input("A", f.act, c.rank, c.in, 1), f.input("B", f.act, c.out, c.rank, 1)
				norms := f.output("Norms", bindings.F32, 1, c.out)
				op := &bindings.RowNorms{Linear: &bindings.Linear{
					Name: "measured", Weight: weight,
					Adapter: &bindings.Adapter{A: a.Tensor, B: b.Tensor, Scale: 0.5, Norms: norms.Tensor},
				}}
				f.run([]bindings.Operation{op})
				ref := linear{W: values, A: mat.NewDense(c.rank, c.in, a.values), B: mat.NewDense(c.out, c.rank, b.values), Scale: 0.5}
				norms.products(c.in+c.rank, ref.rowNorms())
			})
		}
	}
}
