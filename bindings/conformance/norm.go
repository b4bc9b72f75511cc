package conformance

import (
	"fmt"
	"math"
	"testing"

	"qlora/bindings"
)

func runNorm(t *testing.T, s *suite) {
	for _, c := range []struct{ rows, cols int }{
		{1, 1}, {1, 64}, {3, 67}, {9, 128}, {5, 256}, {131, 576}, {3, 2048}, {17, 2049}, {2, 4096}, {1, 8192}, {1, 16384}, {1, 16392},
	} {
		for _, dtype := range denseTypes {
			for _, accumulate := range []bool{false, true} {
				for _, alias := range []bool{false, true} {
					name := fmt.Sprintf("%v %+v accumulate=%t alias=%t", dtype, c, accumulate, alias)
					s.row(t, name, func(f *fixture) { normRow(f, c.rows, c.cols, dtype, accumulate, alias) })
				}
			}
		}
	}
}

// normRow: alias puts Y on X (forward alone), or DX on DY, and drops what is
// optional.
func normRow(f *fixture, rows, cols int, dtype bindings.DType, accumulate, alias bool) {
	const eps = 1e-5
	x := f.input("X", f.act, rows, cols, 2)
	w := f.input("Weight", dtype, 1, cols, 1)
	dy := f.input("DY", f.act, rows, cols, 1)
	y, rstd := f.output("Y", f.act, rows, cols), f.output("RStd", bindings.F32, 1, rows)
	dw := f.input("DWeight", bindings.F32, 1, cols, 1)
	dx := f.output("DX", f.act, rows, cols)
	if accumulate {
		dx = f.input("DX accumulated", f.act, rows, cols, 1)
	}
	inPlace := f.given("X and Y", f.act, rows, cols, x.values)
	op := &bindings.Norm{X: x.Tensor, Weight: w.Tensor, Eps: eps, Y: y.Tensor, RStd: rstd.Tensor}
	backward := &bindings.NormBackward{Norm: *op, DY: dy.Tensor, DX: dx.Tensor, Accumulate: accumulate, DWeight: dw.Tensor}
	overwritten := []*operand{dx, dw, inPlace}
	base := append([]float64(nil), dx.values...)
	if !accumulate {
		base = make([]float64, rows*cols)
	}
	if alias {
		backward.DWeight = bindings.Tensor{}
		overwritten = []*operand{dx, inPlace}
		if !accumulate {
			backward.DX, dx = dy.Tensor, dy
			overwritten = []*operand{dy, inPlace}
		}
	}
	f.run([]bindings.Operation{
		op, backward,
		&bindings.Norm{X: inPlace.Tensor, Weight: w.Tensor, Eps: eps, Y: inPlace.Tensor},
	}, overwritten...)

	wantY, wantDX := make([]float64, 0, x.Len()), base
	wantRStd, wantDW := make([]float64, rows), append([]float64(nil), dw.values...)
	var terms float64 // of DX: the sum over rows of RStd·rms(g)
	for i := range rows {
		row := x.values[i*cols : (i+1)*cols]
		out, r := norm(row, w.values, eps)
		wantY, wantRStd[i] = append(wantY, out...), r
		gx, gw := normBackward(row, w.values, dy.values[i*cols:(i+1)*cols], eps)
		axpy(wantDX[i*cols:(i+1)*cols], 1, gx)
		axpy(wantDW, 1, gw)
		var square float64
		for j, v := range dy.values[i*cols : (i+1)*cols] {
			square += v * v * w.values[j] * w.values[j]
		}
		terms += r * math.Sqrt(square/float64(cols))
	}
	y.equals(cols, wantY)
	inPlace.equals(cols, wantY)
	rstd.sums(cols, wantRStd)
	// DX is RStd·(g - …): in a row of one column all but Eps's share cancels.
	dx.near(cols, 1, terms/float64(rows), wantDX)
	if !alias {
		dw.sums(rows+cols, wantDW)
	}
}
