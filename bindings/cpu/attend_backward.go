package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// AttendBackward takes one key head of one sequence a piece, so that the sums
// over queries that DK and DV are have one owner. P comes again from the scores
// and LSE:
//
//	DV = Pᵀ·DO    DP = DO·Vᵀ    DS = P·(DP - rowsum(DO·O))    DQ = Scale·DS·K    DK = Scale·DSᵀ·Q
func (d *Device) AttendBackward(op *bindings.Attend) {
	if !d.ready(floats(op.CheckBackward(), op.Q), backward{op}) {
		return
	}
	lanes := d.lanes(attendBackwardFloats(op.HeadDim))
	d.parallel(op.Keys.Count()*op.KVHeads, func(lane, piece int) {
		sequence, kvHead := piece/op.KVHeads, piece%op.KVHeads
		k0, k1 := int(op.Keys.Starts[sequence]), int(op.Keys.Starts[sequence+1])
		for _, t := range []bindings.Tensor{op.DK, op.DV} {
			for row := k0; row < k1; row++ {
				at := row*t.Cols + kvHead*op.HeadDim
				clear(f32(t)[at : at+op.HeadDim])
			}
		}
		group := op.Heads / op.KVHeads
		spans(op, sequence, func(s span) {
			for head := kvHead * group; head < (kvHead+1)*group; head++ {
				d.attendBackward(op, s, head, kvHead, lanes(lane))
			}
		})
	})
}

// attendBackwardFloats is what one lane takes: P, DP and DQ of a tile.
func attendBackwardFloats(headDim int) int { return 2*queryTile*keyTile + queryTile*headDim }

func (d *Device) attendBackward(op *bindings.Attend, s span, head, kvHead int, free []float32) {
	width, kvWidth, dim := op.Q.Cols, op.K.Cols, op.HeadDim
	tile := func(t []float32) matrix { return dense(t, width).row(s.query).col(head * dim) }
	keys := func(t []float32) matrix { return dense(t, kvWidth).row(s.first).col(kvHead * dim) }
	q, o, do, out := tile(f32(op.Q)), tile(f32(op.O)), tile(f32(op.DO)), tile(f32(op.DQ))
	k, v, dk, dv := keys(f32(op.K)), keys(f32(op.V)), keys(f32(op.DK)), keys(f32(op.DV))
	p, free := free[:queryTile*keyTile], free[queryTile*keyTile:]
	dp, dq := free[:queryTile*keyTile], dense(free[queryTile*keyTile:], dim)
	lse := f32(op.LSE)

	var delta [queryTile]float32
	for i := range s.queries {
		delta[i] = float32(dot(do.data[i*width:i*width+dim], o.data[i*width:i*width+dim]))
	}
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
			vector.Probabilities(prow[a-from:b-from], drow[a-from:b-from], lse[(s.query+i)*op.Heads+head], delta[i])
		}
		d.product(n, dim, s.queries, 1, dense(p, n).t(), do, 1, dv.row(from))
		d.product(n, dim, s.queries, op.Scale, dense(dp, n).t(), q, 1, dk.row(from))
		d.product(s.queries, dim, n, op.Scale, dense(dp, n), k.row(from), beta, dq)
		beta = 1
	}
	for i := range s.queries {
		copy(out.data[i*width:i*width+dim], dq.data[i*dim:(i+1)*dim])
	}
}
