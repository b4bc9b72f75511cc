package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// attendBackward works in pieces of one key head of one sequence, so that one goroutine
// sums DK and DV over the queries. It recomputes P from the scores and LSE.
func (d *Device) attendBackward(op *bindings.AttendBackward) {
	lanes := d.lanes(gradientFloats(op.HeadDim))
	if !op.DSinks.Absent() {
		d.sinksBackward(op)
	}
	d.parallel(op.Keys.Count()*op.KVHeads, func(lane, piece int) {
		sequence, kvHead := piece/op.KVHeads, piece%op.KVHeads
		k0, k1 := int(op.Keys.Starts[sequence]), int(op.Keys.Starts[sequence+1])
		for _, t := range []bindings.Tensor{op.DK, op.DV} {
			for row := k0; row < k1; row++ {
				at := row*t.Stride() + t.Column(kvHead*op.HeadDim)
				clear(f32(t)[at : at+op.HeadDim])
			}
		}
		group := op.Heads / op.KVHeads
		spans(&op.Attend, sequence, func(s span) {
			for head := kvHead * group; head < (kvHead+1)*group; head++ {
				d.attendTileBackward(op, s, head, kvHead, lanes(lane))
			}
		})
	})
}

// gradientFloats returns the scratch of one lane in floats: P, DP and DQ of a tile.
func gradientFloats(headDim int) int { return 2*queryTile*keyTile + queryTile*headDim }

func attendBackwardFloats(p *profile, op *bindings.AttendBackward) int {
	return p.threads * padded(gradientFloats(op.HeadDim))
}

// sinksBackward must run before DQ is written, which may be DO. It sums in float64.
func (d *Device) sinksBackward(op *bindings.AttendBackward) {
	o, do, lse, sinks, dim := f32(op.O), f32(op.DO), f32(op.LSE), f32(op.Sinks), op.HeadDim
	sums := f32(op.DSinks)
	d.parallel(op.Heads, func(_, head int) {
		var sum float64
		for t := range op.O.Rows {
			at := t*op.O.Cols + head*dim
			p := math.Exp(float64(sinks[head]) - float64(lse[t*op.Heads+head]))
			sum += p * dot(do[at:at+dim], o[at:at+dim])
		}
		sums[head] -= float32(sum)
	})
}

func (d *Device) attendTileBackward(op *bindings.AttendBackward, s span, head, kvHead int, free []float32) {
	dim := op.HeadDim
	tile := func(t bindings.Tensor) matrix { return headOf(t, s.query, head, dim) }
	keys := func(t bindings.Tensor) matrix { return headOf(t, s.first, kvHead, dim) }
	q, o, do, out := tile(op.Q), tile(op.O), tile(op.DO), tile(op.DQ)
	k, v, dk, dv := keys(op.K), keys(op.V), keys(op.DK), keys(op.DV)
	p, free := free[:queryTile*keyTile], free[queryTile*keyTile:]
	dp, dq := free[:queryTile*keyTile], dense(free[queryTile*keyTile:], dim)
	lse, shape := f32(op.LSE), scoresOf(&op.Attend, head)

	var delta [queryTile]float32
	for i := range s.queries {
		delta[i] = float32(dot(do.data[i*do.stride:i*do.stride+dim], o.data[i*o.stride:i*o.stride+dim]))
	}
	var slope [keyTile]float32
	var beta float32
	for from := s.from; from < s.to; from += keyTile {
		to := min(s.to, from+keyTile)
		n := to - from
		d.product(s.queries, n, dim, op.Scale, q, k.row(from).t(), 0, dense(p, n))
		d.product(s.queries, n, dim, 1, do, v.row(from).t(), 0, dense(dp, n))
		for i := range s.queries {
			a, b := s.visible(i, from, to)
			b = max(a, b)
			prow, drow := p[i*n:(i+1)*n], dp[i*n:(i+1)*n]
			if a >= to {
				a, b = from, from
			}
			clear(prow[:a-from])
			clear(drow[:a-from])
			clear(prow[b-from:])
			clear(drow[b-from:])
			prow, drow = prow[a-from:b-from], drow[a-from:b-from]
			at := (s.query+i)*op.Heads + head
			shape.bendBackward(prow, slope[:len(prow)], a)
			if shape.drops {
				shape.mask(drow, drow, at, a)
			}
			vector.Probabilities(prow, drow, lse[at], delta[i])
			if shape.drops {
				shape.mask(prow, prow, at, a)
			}
			if shape.limit > 0 {
				vector.Mask(drow, drow, slope[:len(drow)])
			}
		}
		d.product(n, dim, s.queries, 1, dense(p, n).t(), do, 1, dv.row(from))
		d.product(n, dim, s.queries, op.Scale, dense(dp, n).t(), q, 1, dk.row(from))
		d.product(s.queries, dim, n, op.Scale, dense(dp, n), k.row(from), beta, dq)
		beta = 1
	}
	for i := range s.queries {
		copy(out.data[i*out.stride:i*out.stride+dim], dq.data[i*dim:(i+1)*dim])
	}
}
