package cpu

import (
	"math"

	"qlora/bindings"
)

// normPiece is the number of elements of a gradient summed as one piece. The pieces'
// sums are added in order.
const normPiece = 1 << 16

// gradNorm sums squares in float64.
func (d *Device) gradNorm(op *bindings.GradNorm) {
	var total float64
	for i := range op.Params {
		g := f32(op.Params[i].Grad)
		n := tiles(len(g), normPiece)
		if n > len(d.partial) {
			d.partial = make([]float64, n)
		}
		d.parallel(n, func(_, i int) {
			piece := g[i*normPiece : min(len(g), (i+1)*normPiece)]
			d.partial[i] = dot(piece, piece)
		})
		for _, s := range d.partial[:n] {
			total += s
		}
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
