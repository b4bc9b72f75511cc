package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

var activations = []bindings.Activation{bindings.SiLU, bindings.GELU, bindings.GELUTanh, bindings.ReLU, bindings.ReLUSquared}

type activateCase struct {
	rows, cols int
	plain      bool   // without U
	fused      bool   // G and U, and DG and DU, are columns of one tensor
	alias      string // operands that are one tensor; "ends": extreme inputs
	again      string // the tensor that gets Y again
}

func runActivate(t *testing.T, s *suite) {
	for _, kind := range activations {
		for _, c := range []activateCase{
			{rows: 1, cols: 5, alias: "ends"},
			{rows: 1, cols: 5, plain: true, alias: "ends"},
			{rows: 1, cols: 1},
			{rows: 7, cols: 67},
			{rows: 7, cols: 67, alias: "DG on G, DU on U"},
			{rows: 131, cols: 129, alias: "DG on DY"},
			{rows: 33, cols: 1536, alias: "DG on G, DU on U"},
			{rows: 7, cols: 67, plain: true},
			{rows: 33, cols: 1536, plain: true, alias: "DG on G, DU on U"},
			{rows: 131, cols: 129, plain: true, alias: "DG on DY"},
			{rows: 19, cols: 72, fused: true},
			{rows: 5, cols: 67, fused: true},
			{rows: 33, cols: 1536, fused: true, alias: "DG on G, DU on U"},
			{rows: 3, cols: 9000, fused: true},
			{rows: 19, cols: 72, plain: true, fused: true},
			{rows: 7, cols: 67, again: "Again"},
			{rows: 33, cols: 1536, alias: "DG on G, DU on U", again: "DY"},
			{rows: 5, cols: 67, fused: true, alias: "DG on G, DU on U", again: "DY"},
			{rows: 19, cols: 72, plain: true, fused: true, again: "DY"},
		} {
			s.row(t, fmt.Sprintf("%v %+v", kind, c), func(f *fixture) { activateRow(f, kind, c) })
		}
	}
}

func activateRow(f *fixture, kind bindings.Activation, c activateCase) {
	var g, u, dg, du *operand
	if c.fused {
		pair, grads := f.input("[G, U]", f.act, c.rows, 2*c.cols, 2), f.output("[DG, DU]", f.act, c.rows, 2*c.cols)
		g, dg = f.every("G", pair, 2*c.cols, 0, c.cols), f.every("DG", grads, 2*c.cols, 0, c.cols)
		if !c.plain {
			u, du = f.every("U", pair, 2*c.cols, c.cols, c.cols), f.every("DU", grads, 2*c.cols, c.cols, c.cols)
		}
	} else {
		g, dg = f.input("G", f.act, c.rows, c.cols, 4), f.output("DG", f.act, c.rows, c.cols)
		if !c.plain {
			u, du = f.input("U", f.act, c.rows, c.cols, 1), f.output("DU", f.act, c.rows, c.cols)
		}
	}
	// Overflow of exp at extreme inputs must not become NaN.
	if c.alias == "ends" {
		copy(g.values, []float64{-200, -88, 88, 200, 0})
		g.initial = encode(f.act, g.values)
	}
	dy, y := f.input("DY", f.act, c.rows, c.cols, 1), f.output("Y", f.act, c.rows, c.cols)
	var overwritten []*operand
	switch c.alias {
	case "DG on G, DU on U":
		dg, du, overwritten = g, u, []*operand{g, u}
	case "DG on DY":
		dg, overwritten = dy, []*operand{dy}
	}
	op := &bindings.Activate{Kind: kind, G: g.Tensor, Y: y.Tensor}
	backward := &bindings.ActivateBackward{DY: dy.Tensor, DG: dg.Tensor}
	if !c.plain {
		op.U, backward.DU = u.Tensor, du.Tensor
	}
	var again *operand
	switch c.again {
	case "Again":
		again = f.output("Again", f.act, c.rows, c.cols)
	case "DY":
		again, overwritten = dy, append(overwritten, dy)
	}
	if again != nil {
		backward.Again = again.Tensor
	}
	backward.Activate = *op
	f.run([]bindings.Operation{op, backward}, overwritten...)

	n := g.Len()
	wantY, wantDG, wantDU := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range n {
		up := 1.0
		if !c.plain {
			up = u.values[i]
		}
		value, slope := activation(kind, g.values[i])
		wantY[i], wantDG[i], wantDU[i] = value*up, dy.values[i]*up*slope, dy.values[i]*value
	}
	y.equals(4, wantY)
	if again != nil {
		again.equals(4, wantY)
	}
	dg.equals(8, wantDG)
	if !c.plain {
		du.equals(4, wantDU)
	}
}
