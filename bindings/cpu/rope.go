package cpu

import (
	"fmt"

	"qlora/bindings"
)

// rope rotates pairs of each head.
func (d *Device) rope(op *bindings.RoPE) {
	positions := elements[int32](op.Positions)
	for t, p := range positions {
		if p < 0 || int(p) >= op.Cos.Rows {
			d.fail(fmt.Errorf("rope: row %d is at position %d, the tables have %d", t, p, op.Cos.Rows))
			return
		}
	}
	x, cos, sin := f32(op.X), f32(op.Cos), f32(op.Sin)
	half := op.Cos.Cols
	sign := float32(1)
	if op.Inverse {
		sign = -1
	}
	turn := rotateHalves
	if op.Interleaved {
		turn = rotateNeighbors
	}
	d.rows(op.X.Rows, 64, func(from, to int) {
		for t := from; t < to; t++ {
			p := int(positions[t])
			c, s := cos[p*half:(p+1)*half], sin[p*half:(p+1)*half]
			for h := range op.Heads {
				turn(x[t*op.X.Stride()+op.X.Column(h*op.HeadDim):][:2*half], c, s, sign)
			}
		}
	})
}

func rotateHalves(head, c, s []float32, sign float32) {
	s = s[:len(c)]
	lower, upper := head[:len(c)], head[len(c):][:len(c)]
	for i, cos := range c {
		sin := s[i] * sign
		a, b := lower[i], upper[i]
		lower[i], upper[i] = a*cos-b*sin, b*cos+a*sin
	}
}

func rotateNeighbors(head, c, s []float32, sign float32) {
	s, head = s[:len(c)], head[:2*len(c)]
	for i, cos := range c {
		sin := s[i] * sign
		a, b := head[2*i], head[2*i+1]
		head[2*i], head[2*i+1] = a*cos-b*sin, b*cos+a*sin
	}
}
