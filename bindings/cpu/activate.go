package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// activatePiece is the number of elements per goroutine and turn.
const activatePiece = 1 << 13

// functions maps package bindings' activations to package vector's.
var functions = [...]vector.Function{
	bindings.SiLU: vector.SiLU, bindings.GELU: vector.GELU, bindings.GELUTanh: vector.GELUTanh,
	bindings.ReLU: vector.ReLU, bindings.ReLUSquared: vector.ReLUSquared,
}

// activate runs element by element.
func (d *Device) activate(op *bindings.Activate) {
	f := functions[op.Kind]
	d.pieces([]bindings.Tensor{op.Y, op.G, op.U}, func(x [][]float32) {
		vector.Activate(f, x[0], x[1], x[2])
	})
}

// activateBackward reads all inputs of an element before it writes: DG and DU may
// be the inputs.
func (d *Device) activateBackward(op *bindings.ActivateBackward) {
	f := functions[op.Kind]
	d.pieces([]bindings.Tensor{op.DG, op.DU, op.G, op.U, op.DY}, func(x [][]float32) {
		vector.ActivateBackward(f, x[0], x[1], x[2], x[3], x[4])
	})
}

// pieces calls do with the same range of elements of every tensor, nil for absent ones.
// The tensors have one shape and one group of columns. An element's result must not
// depend on the ranges.
func (d *Device) pieces(tensors []bindings.Tensor, do func([][]float32)) {
	rows, cols := tensors[0].Rows, tensors[0].Cols
	whole := true
	for _, t := range tensors {
		whole = whole && (t.Absent() || t.Contiguous())
	}
	if whole {
		rows, cols = 1, rows*cols
	}
	across := tiles(cols, activatePiece)
	d.rows(rows*across, max(1, activatePiece/max(1, cols)), func(from, to int) {
		elements := make([][]float32, len(tensors))
		for i := from; i < to; i++ {
			row, col := i/across, i%across*activatePiece
			n := min(activatePiece, cols-col)
			for k, t := range tensors {
				if !t.Absent() {
					at := row*t.Stride() + col
					elements[k] = f32(t)[at : at+n]
				}
			}
			do(elements)
		}
	})
}
