package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// A job is an operation's work on a range of rows. Results must not depend on the ranges.
type job interface {
	run(from, to int)
}

// splitElements is the number of elements of a job that run on one goroutine at a time.
const splitElements = 1 << 14

// split runs a job on rows of cols elements each: on the calling goroutine, without
// allocations, if they are few.
func split[J job](d *Device, rows, cols int, j J) {
	size := rowsAtOnce(cols)
	if rows <= size {
		j.run(0, rows)
		return
	}
	shared := j // only this copy escapes to the heap
	d.rows(rows, size, func(from, to int) { shared.run(from, to) })
}

// rowsAtOnce returns the number of rows of cols elements that a goroutine computes at a time.
func rowsAtOnce(cols int) int { return max(1, splitElements/max(1, cols)) }

// between runs do on the rows [from, to), rowsAtOnce of them at a time.
func (d *Device) between(from, to, cols int, do func(lane, from, to int)) {
	size := rowsAtOnce(cols)
	d.parallel(tiles(to-from, size), func(lane, i int) {
		first := from + i*size
		do(lane, first, min(to, first+size))
	})
}

// types maps package bindings' types of floats to package vector's.
var types = [...]vector.Type{bindings.F32: vector.F32, bindings.BF16: vector.BF16, bindings.F16: vector.F16}

// rowsOf returns the rows of a tensor with one group of columns; absent for an absent one.
func rowsOf(t bindings.Tensor) vector.Rows {
	if t.Absent() || t.Len() == 0 {
		return vector.Rows{}
	}
	return vector.RowsAt(t.Address(), types[t.DType], t.Rows, t.Cols, t.Stride())
}

// add computes dst += x.
func add(dst, x []float32) { vector.AddScaled(dst, 1, x[:len(dst)]) }

// dot returns the sum of a·b in float64.
func dot(a, b []float32) float64 { return vector.Dot(a, b[:len(a)]) }
