package cpu

import (
	"math"

	"qlora/bindings"
)

// foldPiece is the number of elements per goroutine and turn.
const foldPiece = 1 << 15

// The steps of fixed point: scaling by a power of 2 is exact.
const (
	upscale   = 1 << bindings.FixedPoint
	downscale = 1. / upscale
)

// sumsOf returns the sums of each parameter, and the mark.
func sumsOf(t bindings.Tensor, params []bindings.Param) (of [][]int64, mark *int64) {
	all := elements[int64](t)
	for i := range params {
		n := params[i].Grad.Len()
		of, all = append(of, all[:n]), all[n:]
	}
	return of, &all[0]
}

func (d *Device) fold(op *bindings.Fold) {
	sums, mark := sumsOf(op.Sums, op.Params)
	refused := make([]bool, d.threads) // by lane
	d.params(op.Params, foldPiece, func(lane, _, i, from, to int) {
		g, s := f32(op.Params[i].Grad)[from:to], sums[i][from:to]
		for j, x := range g {
			if !(x < op.Limit && x > -op.Limit) {
				refused[lane] = true
			} else {
				s[j] += int64(math.RoundToEven(float64(x * upscale)))
			}
		}
		clear(g)
	})
	for _, r := range refused {
		if r {
			*mark = 1
		}
	}
}

func (d *Device) unfold(op *bindings.Unfold) {
	sums, mark := sumsOf(op.Sums, op.Params)
	scale := float32(downscale)
	if *mark != 0 {
		scale = float32(math.NaN())
	}
	d.params(op.Params, foldPiece, func(_, _, i, from, to int) {
		g := f32(op.Params[i].Grad)[from:to]
		for j, s := range sums[i][from:to] {
			g[j] = float32(s) * scale
		}
	})
}

func (d *Device) round(op *bindings.Round) {
	d.params(op.Params, foldPiece, func(_, _, i, from, to int) {
		g := f32(op.Params[i].Grad)[from:to]
		for j, x := range g {
			if x < op.Limit && x > -op.Limit {
				g[j] = float32(int64(math.RoundToEven(float64(x*upscale)))) * downscale
			} else {
				g[j] = float32(math.NaN())
			}
		}
	})
}
