package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

func runActivate(t *testing.T, s *suite) {
	for _, c := range []struct {
		rows, cols int
		alias      string
	}{
		{1, 5, "ends"},
		{1, 1, ""},
		{7, 67, ""},
		{7, 67, "DG on G, DU on U"},
		{131, 129, "DG on DY"},
		{33, 1536, "DG on G, DU on U"},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) {
			g, u := f.input("G", f.act, c.rows, c.cols, 4), f.input("U", f.act, c.rows, c.cols, 1)
			// The ends of silu: what exp makes of them must not become NaN.
			if c.alias == "ends" {
				copy(g.values, []float64{-200, -88, 88, 200, 0})
				g.initial = encode(f.act, g.values)
			}
			dy, y := f.input("DY", f.act, c.rows, c.cols, 1), f.output("Y", f.act, c.rows, c.cols)
			dg, du := f.output("DG", f.act, c.rows, c.cols), f.output("DU", f.act, c.rows, c.cols)
			var overwritten []*operand
			switch c.alias {
			case "DG on G, DU on U":
				dg, du, overwritten = g, u, []*operand{g, u}
			case "DG on DY":
				dg, overwritten = dy, []*operand{dy}
			}
			op := &bindings.Activate{G: g.Tensor, U: u.Tensor, Y: y.Tensor}
			f.run([]bindings.Operation{op, &bindings.ActivateBackward{Activate: *op, DY: dy.Tensor, DG: dg.Tensor, DU: du.Tensor}}, overwritten...)

			n := g.Len()
			wantY, wantDG, wantDU := make([]float64, n), make([]float64, n), make([]float64, n)
			for i := range n {
				wantY[i] = gate(g.values[i], u.values[i])
				wantDG[i], wantDU[i] = gateBackward(g.values[i], u.values[i], dy.values[i])
			}
			y.equals(4, wantY)
			dg.equals(8, wantDG)
			du.equals(4, wantDU)
		})
	}
}
