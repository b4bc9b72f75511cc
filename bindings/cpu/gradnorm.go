package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// normPiece is the number of elements of a gradient summed as one piece. The pieces'
// sums are added in order.
const normPiece = 1 << 16

// gradNorm adds the pieces' sums.
func (d *Device) gradNorm(op *bindings.GradNorm) {
	var total float64
	for _, s := range d.squares(op.Params) {
		total += s
	}
	out := f32(op.Out)
	out[0], out[1] = bindings.Clip(total, op.Max)
}

func (d *Device) squareSums(op *bindings.SquareSums) {
	out := elements[int64](op.Out)
	for i, s := range d.squares(op.Params) {
		out[i] = int64(math.Float64bits(s))
	}
}

// squares returns the sum of squares of each piece, until the next call.
func (d *Device) squares(params []bindings.Param) []float64 {
	pieces := bindings.Pieces(params, normPiece)
	if pieces > len(d.partial) {
		d.partial = make([]float64, pieces)
	}
	d.params(params, normPiece, func(_, piece, i, from, to int) {
		g := f32(params[i].Grad)[from:to]
		d.partial[piece] = vector.Dot(g, g)
	})
	return d.partial[:pieces]
}
