package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
	"qlora/internal/nf4"
)

func runCopy(t *testing.T, s *suite) {
	for _, from := range denseTypes {
		for _, to := range denseTypes {
			for _, n := range []int{1, 67, 1031} {
				s.row(t, fmt.Sprintf("%v to %v, %d", from, to, n), func(f *fixture) {
					src, dst := f.input("source", from, 3, n, 1), f.output("copy", to, 3, n)
					cleared := f.input("cleared", from, 3, n, 1)
					f.run(nil, func() { f.dev.Copy(dst.Tensor, src.Tensor); f.dev.Zero(cleared.Tensor) }, cleared)
					if string(dst.raw()) != string(encode(to, src.values)) {
						t.Error("the copy is not its source rounded to nearest even")
					}
					for i, b := range cleared.raw() {
						if b != 0 {
							t.Fatalf("byte %d of a cleared tensor is %#x", i, b)
						}
					}
				})
			}
		}
	}
}

// runQuantize compares bits: the rule has no freedom.
func runQuantize(t *testing.T, s *suite) {
	for _, dtype := range denseTypes {
		for _, h := range []holding{
			{kind: nf4.NF4, block: 64}, {kind: nf4.NF4, block: 64, double: true}, {kind: nf4.FP4, block: 128, double: true}, {kind: nf4.NF4, block: 4096},
		} {
			for _, size := range [][2]int{{1, 1}, {7, 67}, {300, 257}} {
				name := fmt.Sprintf("%v %v of %d double=%t %v", dtype, h.kind, h.block, h.double, size)
				s.row(t, name, func(f *fixture) { quantizeRow(f, h, dtype, size[0], size[1]) })
			}
		}
	}
}

func quantizeRow(f *fixture, h holding, dtype bindings.DType, out, in int) {
	n := out * in
	blocks := (n + h.block - 1) / h.block
	codes := f.output("Codes", bindings.U8, 1, (n+1)/2)
	q := &bindings.Quantized{Kind: h.kind, BlockSize: h.block, Codes: codes.Tensor}
	var absmax, scales, nested, table, offset *operand
	if h.double {
		scales, nested = f.output("AbsmaxCodes", bindings.U8, 1, blocks), f.output("NestedAbsmax", bindings.F32, 1, (blocks+255)/256)
		table, offset = f.output("Map", bindings.F32, 1, 256), f.output("Offset", bindings.F32, 1, 1)
		q.AbsmaxCodes, q.NestedAbsmax, q.NestedBlockSize = scales.Tensor, nested.Tensor, 256
		q.Map, q.Offset = table.Tensor, offset.Tensor
	} else {
		absmax = f.output("Absmax", bindings.F32, 1, blocks)
		q.Absmax = absmax.Tensor
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = f.rng.NormFloat64()
	}
	src := encode(dtype, x)
	f.run(nil, func() {
		err := f.dev.Quantize(&bindings.Weight{Out: out, In: in, Quantized: q}, src, dtype)
		f.skipMissing(err)
		f.need(err)
	})

	values := make([]float32, n)
	for i, v := range decode(dtype, src) {
		values[i] = float32(v)
	}
	wantCodes, wantAbsmax := make([]byte, (n+1)/2), make([]float32, blocks)
	nf4.Quantize(wantCodes, wantAbsmax, values, h.kind, h.block)
	same := func(o *operand, want []byte) {
		f.t.Helper()
		got := o.raw()
		for i := range want {
			if got[i] != want[i] {
				f.t.Errorf("%s: byte %d: got %#x, want %#x", o.name, i, got[i], want[i])
				return
			}
		}
	}
	same(codes, wantCodes)
	if !h.double {
		same(absmax, encode(bindings.F32, widened(wantAbsmax)))
		return
	}
	want := nf4.Nest(wantAbsmax)
	same(scales, want.Codes)
	same(nested, encode(bindings.F32, widened(want.Absmax)))
	same(table, encode(bindings.F32, widened(want.Map[:])))
	same(offset, encode(bindings.F32, []float64{float64(want.Offset)}))
}

func widened(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
