package cpu

import (
	"fmt"

	"qlora/bindings"
)

// Rotate turns pairs of a head's halves.
func (d *Device) Rotate(op *bindings.Rotate) {
	if !d.ready(floats(op.Check(), op.X), op) {
		return
	}
	positions := elements[int32](op.Positions)
	for t, p := range positions {
		if p < 0 || int(p) >= op.Cos.Rows {
			d.fail(fmt.Errorf("rotate: row %d is at position %d, the tables have %d", t, p, op.Cos.Rows))
			return
		}
	}
	x, cos, sin := f32(op.X), f32(op.Cos), f32(op.Sin)
	half, cols := op.Cos.Cols, op.X.Cols
	sign := float32(1)
	if op.Inverse {
		sign = -1
	}
	d.rows(op.X.Rows, 64, func(from, to int) {
		for t := from; t < to; t++ {
			p := int(positions[t])
			c, s := cos[p*half:(p+1)*half], sin[p*half:(p+1)*half]
			s = s[:len(c)]
			for h := range op.Heads {
				head := x[t*cols+h*op.HeadDim:]
				lower, upper := head[:half][:len(c)], head[half : 2*half][:len(c)]
				for i, cos := range c {
					sin := s[i] * sign
					a, b := lower[i], upper[i]
					lower[i], upper[i] = a*cos-b*sin, b*cos+a*sin
				}
			}
		}
	})
}
