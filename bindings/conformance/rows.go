package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

type gatherCase struct {
	rows, n int    // of X and of Y
	most    int    // rows of a sum; 0: a copy of one row each
	x, y    string // where the columns lie: see placed
	cols    int    // of whole tensors; 0: placed's
	runs    bool   // rows follow each other
}

func runRows(t *testing.T, s *suite) {
	for _, c := range []struct{ rows, cols int }{{1, 1}, {7, 67}, {131, 576}, {5, 1030}, {3, 4096}} {
		s.row(t, fmt.Sprintf("scale %+v", c), func(f *fixture) { scaleRow(f, c.rows, c.cols) })
	}
	for _, c := range []gatherCase{
		{rows: 1, n: 1, cols: 1},
		{rows: 9, n: 131, cols: 67},
		{rows: 131, n: 33, cols: 576},
		{rows: 131, n: 40, most: 5, cols: 576},
		{rows: 70, n: 9, most: 30, cols: 1030},
		{rows: 200, n: 180, cols: 192, runs: true},
		{rows: 60, n: 55, most: 2, cols: 48, runs: true},
		{rows: 60, n: 55, x: "groups", y: "whole", runs: true},
		{rows: 40, n: 50, x: "columns", y: "whole"},
		{rows: 40, n: 50, x: "groups", y: "columns"},
		{rows: 50, n: 40, most: 3, x: "whole", y: "groups"},
		{rows: 50, n: 40, most: 3, x: "groups", y: "columns"},
	} {
		s.row(t, fmt.Sprintf("gather %+v", c), func(f *fixture) { gatherRow(f, c) })
	}
}

func scaleRow(f *fixture, rows, cols int) {
	x, factors := f.input("X", f.act, rows, cols, 1), f.input("Factors", bindings.F32, 1, rows, 3)
	f.run([]bindings.Operation{&bindings.ScaleRows{X: x.Tensor, Factors: factors.Tensor}}, x)
	want := make([]float64, x.Len())
	for i, v := range x.values {
		want[i] = v * factors.values[i/cols]
	}
	x.equals(1, want)
}

func gatherRow(f *fixture, c gatherCase) {
	place := func(name, how string, declare func(cols int) *operand) *operand {
		if c.cols > 0 {
			return declare(c.cols)
		}
		return f.placed(name, how, declare)
	}
	x := place("X", c.x, func(cols int) *operand { return f.input("X", f.act, c.rows, cols, 1) })
	y := place("Y", c.y, func(cols int) *operand { return f.output("Y", f.act, c.n, cols) })
	list, starts := []int32{}, []int32{0}
	for range c.n {
		terms := 1
		if c.most > 0 {
			terms = f.rng.IntN(c.most + 1) // also none
		}
		for range terms {
			row := f.rng.IntN(c.rows)
			if c.runs && len(list) > 0 && f.rng.IntN(9) > 0 {
				row = (int(list[len(list)-1]) + 1) % c.rows
			}
			list = append(list, int32(row))
		}
		starts = append(starts, int32(len(list)))
	}
	op := &bindings.Gather{X: x.Tensor, Y: y.Tensor, Rows: f.ints("Rows", list).Tensor}
	if c.most > 0 {
		op.Starts = f.ints("Starts", starts).Tensor
	}
	f.run([]bindings.Operation{op}, y)
	want := make([]float64, y.Len())
	for t := range c.n {
		for _, row := range list[starts[t]:starts[t+1]] {
			for j := range y.Cols {
				want[t*y.Cols+j] += x.values[int(row)*y.Cols+j]
			}
		}
	}
	y.equals(max(1, c.most), want)
}
