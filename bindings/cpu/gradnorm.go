package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// normPiece is the number of elements of a gradient summed as one piece. The pieces'
// sums are added in order.
const normPiece = 1 << 16

// gradNorm sums squares in float64.
func (d *Device) gradNorm(op *bindings.GradNorm) {
	pieces := 0
	for i := range op.Params {
		pieces += tiles(op.Params[i].Grad.Len(), normPiece)
	}
	if pieces > len(d.partial) {
		d.partial = make([]float64, pieces)
	}
	d.params(op.Params, normPiece, func(_, piece, i, from, to int) {
		g := f32(op.Params[i].Grad)[from:to]
		d.partial[piece] = vector.Dot(g, g)
	})
	var total float64
	for _, s := range d.partial[:pieces] {
		total += s
	}
	out := f32(op.Out)
	norm := float32(math.Sqrt(total))
	out[0], out[1] = norm, 1
	switch {
	case !(norm <= math.MaxFloat32): // infinite or NaN
		out[1] = float32(math.NaN())
	case op.Max > 0:
		out[1] = min(1, op.Max/(norm+1e-6))
	}
}
