package conformance

import (
	"fmt"
	"testing"

	"qlora/bindings"
)

func runCopy(t *testing.T, s *suite) {
	for _, from := range denseTypes {
		for _, to := range denseTypes {
			for _, n := range []int{1, 67, 1031} {
				s.row(t, fmt.Sprintf("%v to %v, %d", from, to, n), func(f *fixture) {
					src, dst := f.input("source", from, 3, n, 1), f.output("copy", to, 3, n)
					copyRow(f, src, dst)
				})
			}
			for _, c := range []struct{ src, dst string }{
				{"whole", "columns"}, {"columns", "whole"}, {"groups", "whole"}, {"whole", "groups"}, {"columns", "groups"}, {"groups", "columns"}, {"groups", "groups"},
			} {
				s.row(t, fmt.Sprintf("%v to %v, %+v", from, to, c), func(f *fixture) {
					src := f.placed("source", c.src, func(cols int) *operand { return f.input("source", from, 5, cols, 1) })
					dst := f.placed("copy", c.dst, func(cols int) *operand { return f.output("copy", to, 5, cols) })
					copyRow(f, src, dst)
				})
			}
		}
	}
	// Rows that go to places of their own, as keys do in a cache.
	for _, c := range []struct{ src, dst string }{{"whole", "whole"}, {"columns", "whole"}, {"groups", "whole"}, {"whole", "columns"}} {
		for _, to := range []bindings.DType{bindings.F32, bindings.BF16} {
			for _, rows := range [][]int32{{4}, {6, 0, 3}} {
				s.row(t, fmt.Sprintf("rows %v of %v, %+v", rows, to, c), func(f *fixture) { rowsRow(f, c.src, c.dst, to, rows) })
			}
		}
	}
	// Columns that start at no multiple of 16 bytes: words of 4, 2 and 1.
	for _, dtype := range []bindings.DType{bindings.F32, bindings.BF16, bindings.U8} {
		s.row(t, fmt.Sprintf("odd columns of %v", dtype), func(f *fixture) {
			src := f.every("source", f.input("source", dtype, 5, 71, 40), 71, 5, 48)
			dst := f.every("copy", f.output("copy", dtype, 5, 83), 83, 3, 48)
			copyRow(f, src, dst)
		})
	}
}

// placed returns an operand of 48 columns: a whole tensor, or a range or groups of
// columns of a wider one.
func (f *fixture) placed(name, how string, declare func(cols int) *operand) *operand {
	switch how {
	case "columns":
		return f.every(name, declare(72), 72, 16, 48)
	case "groups":
		return f.every(name, declare(96), 32, 8, 16)
	}
	return declare(48)
}

func copyRow(f *fixture, src, dst *operand) {
	cleared := f.input("cleared", src.DType, 3, src.Cols, 1)
	f.run([]bindings.Operation{&bindings.Copy{Dst: dst.Tensor, Src: src.Tensor}, &bindings.Zero{T: cleared.Tensor}}, cleared)
	if string(encode(dst.DType, dst.numbers())) != string(encode(dst.DType, src.values)) {
		f.t.Error("the copy is not its source rounded to nearest even")
	}
	for i, b := range cleared.raw() {
		if b != 0 {
			f.t.Fatalf("byte %d of a cleared tensor is %#x", i, b)
		}
	}
}

// rowsRow copies rows to places among 7, and leaves the others alone.
func rowsRow(f *fixture, from, to string, dtype bindings.DType, rows []int32) {
	src := f.placed("source", from, func(cols int) *operand { return f.input("source", bindings.BF16, len(rows), cols, 1) })
	dst := f.placed("copy", to, func(cols int) *operand { return f.input("copy", dtype, 7, cols, 1) })
	want := append([]float64(nil), dst.values...)
	for i, row := range rows {
		copy(want[int(row)*dst.Cols:], src.values[i*src.Cols:(i+1)*src.Cols])
	}
	f.run([]bindings.Operation{&bindings.Copy{Dst: dst.Tensor, Src: src.Tensor, Rows: f.ints("Rows", rows).Tensor}}, dst)
	if string(encode(dtype, dst.numbers())) != string(encode(dtype, want)) {
		f.t.Errorf("rows are not at %v, or others changed", rows)
	}
}
