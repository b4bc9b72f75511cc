package conformance

import (
	"fmt"
	"math"
	"testing"

	"qlora/bindings"
)

type normCase struct {
	rows, cols int
	dtype      bindings.DType // type of weight and bias
	accumulate bool
	alias      bool // Y on X (forward only), or DX on DY, without optional operands
	centered   bool
	turns      int  // rows of weight and bias
	plain      bool // no weight
	bias       bool
	offset     float64
	again      bool // backward computes Y and the statistics again
	residual   bool
	next       bool // another norm of Y follows
}

func runNorm(t *testing.T, s *suite) {
	for _, c := range []struct{ rows, cols int }{
		{1, 1}, {1, 64}, {3, 67}, {9, 128}, {5, 256}, {131, 576}, {9, 776}, {3, 2048}, {17, 2049}, {2, 4096}, {1, 8192}, {1, 16384}, {1, 16392},
	} {
		for _, dtype := range denseTypes {
			for _, accumulate := range []bool{false, true} {
				for _, alias := range []bool{false, true} {
					name := fmt.Sprintf("%v %+v accumulate=%t alias=%t", dtype, c, accumulate, alias)
					s.row(t, name, func(f *fixture) {
						normRow(f, normCase{rows: c.rows, cols: c.cols, dtype: dtype, accumulate: accumulate, alias: alias, turns: 1})
					})
				}
			}
		}
	}
	runHeadNorm(t, s)
	for _, c := range []normCase{
		{rows: 7, cols: 67, offset: 1},                      // Gemma
		{rows: 131, cols: 576, offset: 1, accumulate: true}, //
		{rows: 24, cols: 64, turns: 3},                      // a norm of each head
		{rows: 33, cols: 256, plain: true},                  //
		{rows: 7, cols: 67, bias: true},                     //
		{rows: 7, cols: 67, centered: true, bias: true},     // LayerNorm
		{rows: 131, cols: 768, centered: true, bias: true},  //
		{rows: 17, cols: 2049, centered: true, bias: true},  //
		{rows: 3, cols: 2048, centered: true, bias: true},   //
		{rows: 2, cols: 4096, centered: true, bias: true},   //
		{rows: 1, cols: 8192, centered: true, bias: true},   //
		{rows: 1, cols: 8200, centered: true, bias: true},   //
		{rows: 1, cols: 16392, centered: true, bias: true},  //
		{rows: 2, cols: 2, centered: true, bias: true},      //
		{rows: 33, cols: 576, centered: true},               // Cohere
		{rows: 33, cols: 128, centered: true, plain: true},  // OLMo
		{rows: 40, cols: 128, centered: true, turns: 8},     // Cohere's queries and keys
		{rows: 12, cols: 67, centered: true, turns: 4, bias: true},
		{rows: 9, cols: 130, centered: true, bias: true, offset: 1},
		{rows: 9, cols: 64, centered: true, plain: true, bias: true},
		{rows: 131, cols: 576, again: true},
		{rows: 9, cols: 64, again: true, offset: 1},
		{rows: 7, cols: 67, again: true},
		{rows: 2, cols: 4096, again: true},
		{rows: 17, cols: 2049, again: true, centered: true, bias: true},
		{rows: 5, cols: 1024, again: true, centered: true, bias: true},
		{rows: 24, cols: 64, again: true, turns: 3},
		{rows: 33, cols: 256, again: true, centered: true, plain: true},
		{rows: 131, cols: 576, residual: true},
		{rows: 7, cols: 67, residual: true, centered: true, bias: true},
		{rows: 3, cols: 2048, residual: true, offset: 1},
		{rows: 131, cols: 576, residual: true, next: true},
		{rows: 9, cols: 64, residual: true, next: true, offset: 1},
		{rows: 3, cols: 1024, next: true, centered: true, bias: true},
		{rows: 2, cols: 2040, residual: true, next: true, plain: true},
		{rows: 1, cols: 4096, residual: true, next: true},
		{rows: 1, cols: 8192, residual: true, next: true, plain: true, bias: true},
		{rows: 1, cols: 8200, residual: true, next: true},
		{rows: 7, cols: 67, residual: true, next: true, centered: true, bias: true},
	} {
		c.turns = max(1, c.turns)
		for _, c.dtype = range denseTypes {
			for _, c.accumulate = range []bool{false, true} {
				for _, c.alias = range []bool{false, true} {
					s.row(t, fmt.Sprintf("%+v", c), func(f *fixture) { normRow(f, c) })
				}
			}
		}
	}
}

func normRow(f *fixture, c normCase) {
	const eps = 1e-5
	rows, cols := c.rows, c.cols
	x := f.input("X", f.act, rows, cols, 2)
	if c.centered {
		for i := range x.values {
			x.values[i] += 1.5
		}
		x = f.given("X off center", f.act, rows, cols, x.values)
	}
	dy := f.input("DY", f.act, rows, cols, 1)
	y, rstd := f.output("Y", f.act, rows, cols), f.output("RStd", bindings.F32, 1, rows)
	dx := f.output("DX", f.act, rows, cols)
	if c.accumulate {
		dx = f.input("DX accumulated", f.act, rows, cols, 1)
	}
	inPlace := f.given("X and Y", f.act, rows, cols, x.values)
	var residual, again *operand
	if c.residual {
		residual = f.input("Residual", f.act, rows, cols, 1)
	}
	op := &bindings.Norm{X: x.Tensor, Offset: float32(c.offset), Centered: c.centered, Eps: eps, Y: y.Tensor, RStd: rstd.Tensor}
	var mean, w, b, dw, db *operand
	if c.centered {
		mean = f.output("Mean", bindings.F32, 1, rows)
		op.Mean = mean.Tensor
	}
	if c.residual {
		op.Residual = residual.Tensor
	}
	overwritten := []*operand{dx, inPlace}
	gradient := func(name string) *operand {
		o := f.input(name, bindings.F32, c.turns, cols, 1)
		overwritten = append(overwritten, o)
		return o
	}
	backward := &bindings.NormBackward{DY: dy.Tensor, DX: dx.Tensor, Accumulate: c.accumulate}
	if !c.plain {
		w = f.input("Weight", c.dtype, c.turns, cols, 1)
		op.Weight = w.Tensor
	}
	if c.bias {
		b = f.input("Bias", c.dtype, c.turns, cols, 1)
		op.Bias = b.Tensor
	}
	if !c.alias && !c.again {
		if w != nil {
			dw = gradient("DWeight")
			backward.DWeight = dw.Tensor
		}
		if b != nil {
			db = gradient("DBias")
			backward.DBias = db.Tensor
		}
	}
	base := append([]float64(nil), dx.values...)
	if !c.accumulate {
		base = make([]float64, rows*cols)
		if c.alias && !c.again {
			backward.DX, dx = dy.Tensor, dy
			overwritten = append(overwritten, dy)
		}
	}
	backward.Norm = *op
	if c.again {
		backward.Mean, backward.RStd = bindings.Tensor{}, bindings.Tensor{}
		again = dy
		if !c.alias {
			again = f.output("Again", f.act, rows, cols)
		}
		backward.Again = again.Tensor
		overwritten = append(overwritten, again)
	}
	alone := *op
	alone.X, alone.Y, alone.Mean, alone.RStd = inPlace.Tensor, inPlace.Tensor, bindings.Tensor{}, bindings.Tensor{}
	ops := []bindings.Operation{op, backward, &alone}
	var next *nextRow
	if c.next {
		next = newNextRow(f, c, y)
		op.Next = next.op
		ops = append(ops, next.alone)
	}
	f.run(ops, overwritten...)

	wantY, wantDX := make([]float64, 0, x.Len()), base
	wantMean, wantRStd := make([]float64, rows), make([]float64, rows)
	wantDW, wantDB := make([]float64, c.turns*cols), make([]float64, c.turns*cols)
	for _, g := range []struct {
		at   *operand
		want []float64
	}{{dw, wantDW}, {db, wantDB}} {
		if g.at != nil {
			copy(g.want, g.at.values)
		}
	}
	turn := func(o *operand, i int) []float64 {
		if o == nil {
			return nil
		}
		return o.values[i%c.turns*cols:][:cols]
	}
	var terms, size float64 // for DX: the sum over rows of RStd·rms(g); for X: of squares
	for i := range rows {
		row, g := x.values[i*cols:(i+1)*cols], dy.values[i*cols:(i+1)*cols]
		n := normalizer{Weight: turn(w, i), Bias: turn(b, i), Offset: c.offset, Eps: eps, Centered: c.centered}
		wantY = append(wantY, n.forward(row)...)
		wantMean[i], wantRStd[i] = n.moments(row)
		gx, gw := n.backward(row, g)
		axpy(wantDX[i*cols:(i+1)*cols], 1, gx)
		axpy(wantDW[i%c.turns*cols:][:cols], 1, gw)
		axpy(wantDB[i%c.turns*cols:][:cols], 1, g)
		var square float64
		for j, v := range g {
			square += v * v * n.gain(j) * n.gain(j)
			size += row[j] * row[j]
		}
		terms += wantRStd[i] * math.Sqrt(square/float64(cols))
	}
	if c.again {
		again.equals(cols, wantY)
	}
	if c.residual {
		axpy(wantY, 1, residual.values)
	}
	y.equals(cols, wantY)
	if next != nil {
		next.check(y)
	}
	inPlace.equals(cols, wantY)
	rstd.sums(cols, wantRStd)
	if mean != nil {
		// A mean is a sum of cols terms of X's magnitude, divided by cols.
		mean.near(cols, 0, math.Sqrt(size/float64(rows*cols)/float64(cols)), wantMean)
	}
	// DX is RStd·(g - …): in a row of one column all but Eps's part cancels.
	dx.near(cols, 1, terms/float64(rows), wantDX)
	if dw != nil {
		dw.sums(rows+cols, wantDW)
	}
	if db != nil {
		db.sums(rows, wantDB)
	}
}
