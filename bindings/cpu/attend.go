package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// Tiles of attention: each thread has scratch for the scores of queryTile queries and
// keyTile keys, whatever the length of the sequence.
const (
	queryTile = 128
	keyTile   = 256
)

// A span is a tile of queries of one sequence with the range of keys they see.
type span struct {
	query, queries int // first row of Q, and number of rows
	first          int // row of K of the sequence's first key
	shift          int // query i of the tile is at key position i + shift
	window         int // keys a query sees, up to its own
	from, to       int // positions of keys seen by any query of the tile
}

// visible returns the range of keys among [from, to) that a query of the tile sees; it
// is empty if the first result is not below the second.
func (s span) visible(query, from, to int) (int, int) {
	end := query + s.shift + 1
	return max(from, end-s.window), min(to, end)
}

// spans calls do for each tile of queries of sequence i.
func spans(op *bindings.Attend, i int, do func(span)) {
	queries := int(op.Queries.Starts[i+1] - op.Queries.Starts[i])
	for n := range tiles(queries, queryTile) {
		do(spanOf(op, i, n))
	}
}

// spanOf returns tile n of sequence i.
func spanOf(op *bindings.Attend, i, n int) span {
	q0, q1 := int(op.Queries.Starts[i]), int(op.Queries.Starts[i+1])
	k0, k1 := int(op.Keys.Starts[i]), int(op.Keys.Starts[i+1])
	at := n * queryTile
	s := span{query: q0 + at, queries: min(queryTile, q1-q0-at), first: k0, window: op.Window}
	s.shift = at + (k1 - k0) - (q1 - q0)
	if s.window == 0 {
		s.window = k1 - k0
	}
	s.from = max(0, s.shift+1-s.window)
	s.to = s.shift + s.queries
	return s
}

// queryTiles returns the number of tiles of queries of all sequences.
func queryTiles(op *bindings.Attend) int {
	n := 0
	for i := range op.Queries.Count() {
		n += tiles(int(op.Queries.Starts[i+1]-op.Queries.Starts[i]), queryTile)
	}
	return n
}

// tileNumber returns the n-th tile over all sequences.
func tileNumber(op *bindings.Attend, n int) span {
	i := 0
	for {
		here := tiles(int(op.Queries.Starts[i+1]-op.Queries.Starts[i]), queryTile)
		if n < here {
			return spanOf(op, i, n)
		}
		n -= here
		i++
	}
}

// attend processes the keys in tiles with a running maximum and sum (Milakov &
// Gimelshein 2018; Dao et al. 2022), in pieces of one head and one tile of queries.
func (d *Device) attend(op *bindings.Attend) {
	lanes := d.lanes(scoreFloats)
	d.parallel(queryTiles(op)*op.Heads, func(lane, piece int) {
		d.attendTile(op, tileNumber(op, piece/op.Heads), piece%op.Heads, lanes(lane))
	})
}

// scoreFloats is the scratch of one lane in floats: the scores.
const scoreFloats = queryTile * keyTile

func attendFloats(p *profile, _ *bindings.Attend) int { return p.threads * padded(scoreFloats) }

// headOf returns one head of t's rows from row on.
func headOf(t bindings.Tensor, row, head, dim int) matrix {
	return matrixOf(t).row(row).col(t.Column(head * dim))
}

func (d *Device) attendTile(op *bindings.Attend, s span, head int, scores []float32) {
	kvHead, dim := head*op.KVHeads/op.Heads, op.HeadDim
	q, o := headOf(op.Q, s.query, head, dim), headOf(op.O, s.query, head, dim)
	k, v := headOf(op.K, s.first, kvHead, dim), headOf(op.V, s.first, kvHead, dim)
	shape := scoresOf(op, head)
	var most [queryTile]float32 // the running maximum of each query
	var sum [queryTile]float64  // the running sum of exp(score - most)
	for i := range most {
		most[i] = float32(math.Inf(-1))
		if shape.sink {
			most[i], sum[i] = f32(op.Sinks)[head], 1
		}
	}
	var beta float32
	for from := s.from; from < s.to; from += keyTile {
		to := min(s.to, from+keyTile)
		n := to - from
		d.product(s.queries, n, dim, op.Scale, q, k.row(from).t(), 0, dense(scores, n))
		for i := range s.queries {
			row := scores[i*n : (i+1)*n]
			a, b := s.visible(i, from, to)
			if a >= b {
				clear(row)
				continue
			}
			clear(row[:a-from])
			clear(row[b-from:])
			row = row[a-from : b-from]
			shape.bend(row, a)
			top := vector.Max(row)
			if top <= most[i] {
				top = most[i]
			} else {
				if from > s.from || shape.sink {
					shrink := float32(math.Exp(float64(most[i] - top)))
					sum[i] *= float64(shrink)
					if from > s.from {
						vector.Scale(o.data[i*o.stride:i*o.stride+dim], shrink)
					}
				}
				most[i] = top
			}
			sum[i] += vector.ExpSum(row, top)
			if shape.drops {
				shape.mask(row, row, (s.query+i)*op.Heads+head, a)
			}
		}
		d.product(s.queries, dim, n, 1, dense(scores, n), v.row(from), beta, o)
		beta = 1
	}
	for i := range s.queries {
		vector.Scale(o.data[i*o.stride:i*o.stride+dim], float32(1/sum[i]))
		if !op.LSE.Absent() {
			f32(op.LSE)[(s.query+i)*op.Heads+head] = float32(float64(most[i]) + math.Log(sum[i]))
		}
	}
}

// lanes returns a function that gives each lane n floats of the workspace.
func (d *Device) lanes(n int) func(lane int) []float32 {
	all := scratchOf(d.workspace).free
	return func(lane int) []float32 { return all[lane*padded(n) : lane*padded(n)+n] }
}
