package cpu

import "qlora/bindings"

// clamp keeps NaN.
func (d *Device) clamp(op *bindings.Clamp) {
	x, limit := f32(op.X), op.Limit
	d.rows(len(x), copyPiece, func(from, to int) {
		for i, v := range x[from:to] {
			switch {
			case v > limit:
				x[from+i] = limit
			case v < -limit:
				x[from+i] = -limit
			}
		}
	})
}

func (d *Device) clampBackward(op *bindings.ClampBackward) {
	x, dx, limit := f32(op.X), f32(op.DX), op.Limit
	d.rows(len(x), copyPiece, func(from, to int) {
		for i, v := range x[from:to] {
			if v >= limit || v <= -limit {
				dx[from+i] = 0
			}
		}
	})
}
