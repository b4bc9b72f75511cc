package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

type addCase struct {
	rows, cols int
	alone      bool // no residual
	alias      string
	scale      float32
	dropout    float32
	evaluation bool // no dropout
}

func runAdd(t *testing.T, s *suite) {
	for _, c := range []addCase{
		{rows: 1, cols: 1},
		{rows: 7, cols: 67},
		{rows: 131, cols: 576, alias: "X"},
		{rows: 33, cols: 1030, alias: "residual", scale: 0.22, dropout: 0.1},
		{rows: 33, cols: 1030, alias: "X", dropout: 0.5},
		{rows: 9, cols: 576, scale: 0.5, dropout: 0.3, evaluation: true},
		{rows: 17, cols: 72, alone: true, dropout: 0.1},
		{rows: 17, cols: 72, alone: true, alias: "X", scale: 12, dropout: 0.9},
		{rows: 5, cols: 129, alone: true, scale: -0.7},
	} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) { addRow(f, c) })
	}
}

func addRow(f *fixture, c addCase) {
	random := f.draws(c.cols, bindings.Random{Train: !c.evaluation, Seed: f.rng.Uint64(), Step: 5})
	const stream = bindings.ModelStream + 3
	x, dy := f.input("X", f.act, c.rows, c.cols, 1), f.input("DY", f.act, c.rows, c.cols, 1)
	y, dx := f.output("Y", f.act, c.rows, c.cols), f.output("DX", f.act, c.rows, c.cols)
	op := &bindings.Add{X: x.Tensor, Scale: c.scale, Dropout: c.dropout, Stream: stream, Random: random}
	want := make([]float64, x.Len())
	if !c.alone {
		residual := f.input("Residual", f.act, c.rows, c.cols, 1)
		op.Residual = residual.Tensor
		copy(want, residual.values)
		if c.alias == "residual" {
			y = residual
		}
	}
	if c.alias == "X" {
		y, dx = x, dy
	}
	op.Y = y.Tensor
	f.run([]bindings.Operation{op, &bindings.AddBackward{
		DY: dy.Tensor, DX: dx.Tensor, Scale: c.scale, Dropout: c.dropout, Stream: stream, Random: random,
	}}, y, dx)

	scale := float64(c.scale)
	if scale == 0 {
		scale = 1
	}
	wantDX := make([]float64, x.Len())
	for i, factor := range dropoutFactors(random, stream, c.dropout, c.rows, c.cols) {
		want[i] += scale * factor * x.values[i]
		wantDX[i] = scale * factor * dy.values[i]
	}
	y.equals(3, want)
	dx.equals(2, wantDX)
}

func runClamp(t *testing.T, s *suite) {
	for _, c := range []struct {
		rows, cols int
		limit      float32
	}{{1, 1, 8}, {7, 67, 0.75}, {131, 129, 1.5}, {33, 1536, 0.25}} {
		s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) {
			x, dx := f.input("X", f.act, c.rows, c.cols, 1), f.input("DX", f.act, c.rows, c.cols, 1)
			f.run([]bindings.Operation{
				&bindings.Clamp{X: x.Tensor, Limit: c.limit}, &bindings.ClampBackward{X: x.Tensor, DX: dx.Tensor, Limit: c.limit},
			}, x, dx)
			limit := float64(c.limit)
			want, wantDX := make([]float64, x.Len()), make([]float64, x.Len())
			for i, v := range x.values {
				want[i] = max(-limit, min(limit, v))
				if -limit < v && v < limit {
					wantDX[i] = dx.values[i]
				}
			}
			x.is(encode(f.act, want))
			dx.is(encode(f.act, wantDX))
		})
	}
}
