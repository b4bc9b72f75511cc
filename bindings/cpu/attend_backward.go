package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// attendBackward computes the gradients and rotates them back.
func (d *Device) attendBackward(op *bindings.AttendBackward) {
	d.attendGradients(op)
	for _, after := range []*bindings.RoPE{op.AfterQ, op.AfterK} {
		if after != nil {
			d.rotate(after)
		}
	}
}

// attendGradients recomputes P from the scores and LSE. The order of each sum is fixed: DK
// and DV over tiles of queries, heads and strips, DQ over blocks of keys. So these give the
// same bits, and the number of threads chooses:
//
//	at once   a piece is one key head of one sequence: five products
//	in turn   pieces of keys for DK and DV, then pieces of queries for DQ: seven products,
//	          but all cores work on one sequence with few key heads
func (d *Device) attendGradients(op *bindings.AttendBackward) {
	g := gradientOf(&d.profile, op)
	if !op.DSinks.Absent() {
		d.sinksBackward(op)
	}
	if g.atOnce {
		d.parallelLanes(op.Keys.Count()*op.KVHeads, g.floats(), func(s scratch, piece int) {
			g.whole(piece/op.KVHeads, piece%op.KVHeads, s)
		})
		return
	}
	d.parallelLanes(g.keyPieces(), g.floats(), func(s scratch, piece int) { g.keyPiece(piece, s) })
	d.parallelLanes(g.queryPieces(), g.floats(), func(s scratch, piece int) { g.queryPiece(piece, s) })
}

func attendBackwardFloats(p *profile, op *bindings.AttendBackward) int {
	g := gradientOf(p, op)
	return p.threads * padded(g.floats())
}

// atOnceFloats is the maximum scratch for DK and DV of a whole sequence and head, in floats.
const atOnceFloats = 1 << 19

// A gradient is what the pieces of a backward share.
type gradient struct {
	attention
	op     *bindings.AttendBackward
	atOnce bool
	keys   int // keys of a piece, if not at once
}

func gradientOf(p *profile, op *bindings.AttendBackward) gradient {
	g := gradient{attention: attentionOf(&p.families, &op.Attend), op: op}
	pieces := op.Keys.Count() * op.KVHeads
	g.keys = g.tile
	for g.keys > g.align && tiles(op.Keys.Longest(), g.keys)*pieces < 2*p.threads {
		g.keys -= g.align
	}
	rounds := tiles(pieces, p.threads)
	g.atOnce = 2*op.Keys.Longest()*op.HeadDim <= atOnceFloats && rounds*p.threads*5 <= pieces*7
	return g
}

// floats returns the scratch of one lane in floats.
func (g *gradient) floats() int {
	return planned(func(s *scratch) { g.work(s) })
}

// A gradientWork is one lane's memory for a tile of queries and a tile of keys.
type gradientWork struct {
	strips [tileStrips]strip
	delta  [tileStrips][stripRows]float64
	o      kernels.Operand // what is being packed; here so that it is not allocated

	q, do   [tileStrips][]byte // left panels, [strip, HeadDim]
	qt, dot [tileStrips][]byte // right panels, [HeadDim, strip]
	k, v    []byte             // right panels, [tile, HeadDim]
	kt      []byte             // right panels, [HeadDim, tile]

	p, ds []float32 // [strip, stride]
	left  []byte    // left panels of p or ds, or of their transposes

	dq     [tileStrips][]float32 // [strip, HeadDim]
	dk, dv []float32             // [keys, HeadDim]
}

func (g *gradient) work(s *scratch) *gradientWork {
	w, dim := new(gradientWork), g.HeadDim
	for i := range w.q {
		w.q[i], w.do[i] = s.bytes(g.info.LeftBytes(g.strip, dim)), s.bytes(g.info.LeftBytes(g.strip, dim))
		w.qt[i], w.dot[i] = s.bytes(g.info.RightBytes(dim, g.strip)), s.bytes(g.info.RightBytes(dim, g.strip))
		w.dq[i] = s.take(g.strip * dim)
	}
	w.k, w.v = s.bytes(g.info.RightBytes(g.tile, dim)), s.bytes(g.info.RightBytes(g.tile, dim))
	w.kt = s.bytes(g.info.RightBytes(dim, g.tile))
	w.p, w.ds = s.take(g.strip*g.stride), s.take(g.strip*g.stride)
	w.left = s.bytes(max(g.info.LeftBytes(g.tile, g.strip), g.info.LeftBytes(g.strip, g.tile)))
	// As if at once, in any case: a plan serves operations with fewer sequences.
	keys := max(g.tile, min(g.Keys.Longest(), atOnceFloats/2/dim))
	w.dk, w.dv = s.take(keys*dim), s.take(keys*dim)
	return w
}

// whole computes all gradients of one key head of a sequence.
func (g *gradient) whole(sequence, kvHead int, s scratch) {
	t, w := g.tiling(sequence), g.work(&s)
	g.clearSums(w, t.keys)
	for n := range t.tall() * t.subsets {
		strips := t.tile(w.strips[:], n/t.subsets, kvHead, n%t.subsets)
		g.packStrips(w, strips)
		first, end := seenBy(strips, t.window)
		for from := first / g.align * g.align; from < end; from += g.tile {
			to := min(end, from+g.tile)
			g.packKeys(w, &t, kvHead, from, to)
			g.packTransposed(w, &t, kvHead, from, to)
			for i := range strips {
				if left, last := g.probabilities(w, i, t.window, from, to); left < last {
					g.addKeys(w, i, from+left, last-left)
					g.addQueries(w, i, left, last, to-from)
				}
			}
		}
		g.storeQueries(w, strips)
	}
	g.storeKeys(w, &t, kvHead, 0, t.keys)
}

// keyPieces returns the number of pieces of keys.
func (g *gradient) keyPieces() int {
	n := 0
	for i := range g.Keys.Count() {
		n += tiles(spanOf(g.Attend, i).keys, g.keys) * g.KVHeads
	}
	return n
}

// keyPiece computes DK and DV of a piece of keys.
func (g *gradient) keyPiece(piece int, s scratch) {
	sequence := 0
	for ; ; sequence++ {
		here := tiles(spanOf(g.Attend, sequence).keys, g.keys) * g.KVHeads
		if piece < here {
			break
		}
		piece -= here
	}
	t, w, kvHead := g.tiling(sequence), g.work(&s), piece%g.KVHeads
	from := piece / g.KVHeads * g.keys
	to := min(t.keys, from+g.keys)
	g.clearSums(w, to-from)
	g.packKeys(w, &t, kvHead, from, to)
	for n := range t.tall() * t.subsets {
		strips := t.tile(w.strips[:], n/t.subsets, kvHead, n%t.subsets)
		for i := range strips {
			if left, last := g.clip(&strips[i], t.window, from, to); left < last {
				g.packStrip(w, i)
				g.probabilities(w, i, t.window, from, to)
				g.addKeys(w, i, left, last-left)
			}
		}
	}
	g.storeKeys(w, &t, kvHead, from, to)
}

// queryPiece computes DQ of a tile of queries. It reads DO before it writes DQ in its place.
func (g *gradient) queryPiece(piece int, s scratch) {
	w := g.work(&s)
	t, strips := g.attention.queryPiece(piece, w.strips[:])
	kvHead := strips[0].head / t.group
	g.packStrips(w, strips)
	first, end := seenBy(strips, t.window)
	for from := first / g.align * g.align; from < end; from += g.tile {
		to := min(end, from+g.tile)
		g.packKeys(w, &t, kvHead, from, to)
		g.packTransposed(w, &t, kvHead, from, to)
		for i := range strips {
			if left, last := g.probabilities(w, i, t.window, from, to); left < last {
				g.addQueries(w, i, left, last, to-from)
			}
		}
	}
	g.storeQueries(w, strips)
}

// packStrips packs all strips and clears their DQ.
func (g *gradient) packStrips(w *gradientWork, strips []strip) {
	for i := range strips {
		g.packStrip(w, i)
		clear(w.dq[i])
	}
}

// packStrip packs Q and DO of a strip, and computes delta = rowsum(DO·O).
func (g *gradient) packStrip(w *gradientWork, i int) {
	s := &w.strips[i]
	for _, x := range [2]struct {
		of          bindings.Tensor
		left, right []byte
	}{{g.Q, w.q[i], w.qt[i]}, {g.op.DO, w.do[i], w.dot[i]}} {
		w.o = g.operand(x.of, s.row, s.head)
		g.kernels.PackLeft(x.left, &w.o, s.rows, g.HeadDim, 1)
		w.o = w.o.T()
		g.kernels.PackRight(x.right, &w.o, g.HeadDim, s.rows, 1)
	}
	vector.RowDots(w.delta[i][:s.rows], g.rows(g.op.DO, s.row, s.rows, s.head), g.rows(g.O, s.row, s.rows, s.head))
}

// packKeys packs a tile of keys for the scores and for DO·Vᵀ.
func (g *gradient) packKeys(w *gradientWork, t *tiling, kvHead, from, to int) {
	w.o = g.operand(g.K, t.key+from, kvHead)
	g.kernels.PackRight(w.k, &w.o, to-from, g.HeadDim, 1)
	w.o = g.operand(g.V, t.key+from, kvHead)
	g.kernels.PackRight(w.v, &w.o, to-from, g.HeadDim, 1)
}

// packTransposed packs a tile of keys for DQ.
func (g *gradient) packTransposed(w *gradientWork, t *tiling, kvHead, from, to int) {
	w.o = g.operand(g.K, t.key+from, kvHead).T()
	g.kernels.PackRight(w.kt, &w.o, g.HeadDim, to-from, 1)
}

// probabilities computes dropout(P) and DS/Scale of a strip, for the keys of a tile
// [from, to) that clip returns.
func (g *gradient) probabilities(w *gradientWork, i, window, from, to int) (left, last int) {
	s := &w.strips[i]
	left, last = g.clip(s, window, from, to)
	if left >= last {
		return left, last
	}
	at := g.info.RightBytes(left, g.HeadDim)
	g.kernels.Multiply(w.p, g.stride, w.q[i], w.k[at:], s.rows, last-left, g.HeadDim, false)
	g.kernels.Multiply(w.ds, g.stride, w.do[i], w.v[at:], s.rows, last-left, g.HeadDim, false)
	how := g.scores(s, window, from+left)
	tile := vector.Tile{Products: w.p, Rows: s.rows, Cols: last - left, Stride: g.stride, Type: g.form}
	vector.ScoreGradients(&tile, w.ds, &how, f32(g.LSE)[s.row*g.Heads+s.head:], g.Heads, w.delta[i][:])
	return left, last
}

// addKeys adds a strip's share to the sums of DK and DV from row first on: Pᵀ·DO and DSᵀ·Q.
func (g *gradient) addKeys(w *gradientWork, i, first, keys int) {
	rows := w.strips[i].rows
	for _, x := range [2]struct {
		scores []float32
		right  []byte
		sums   []float32
	}{{w.p, w.dot[i], w.dv}, {w.ds, w.qt[i], w.dk}} {
		w.o = g.scoresOperand(x.scores).T()
		g.kernels.PackLeft(w.left, &w.o, keys, rows, 1)
		g.kernels.Multiply(x.sums[first*g.HeadDim:], g.HeadDim, w.left, x.right, keys, g.HeadDim, rows, true)
	}
}

// addQueries adds the keys [left, last) of a tile to a strip's DQ: DS·K.
func (g *gradient) addQueries(w *gradientWork, i, left, last, keys int) {
	rows := w.strips[i].rows
	w.o = g.scoresOperand(w.ds)
	g.kernels.PackLeft(w.left, &w.o, rows, last-left, 1)
	g.addPart(w.dq[i], w.left, w.kt, rows, left, last-left, keys, true)
}

func (g *gradient) clearSums(w *gradientWork, keys int) {
	clear(w.dk[:keys*g.HeadDim])
	clear(w.dv[:keys*g.HeadDim])
}

// storeKeys writes DK and DV of the keys [from, to).
func (g *gradient) storeKeys(w *gradientWork, t *tiling, kvHead, from, to int) {
	scale, one := [1]float32{g.Scale}, [1]float32{1}
	vector.ScaleRows(g.rows(g.op.DK, t.key+from, to-from, kvHead), w.dk, scale[:])
	vector.ScaleRows(g.rows(g.op.DV, t.key+from, to-from, kvHead), w.dv, one[:])
}

func (g *gradient) storeQueries(w *gradientWork, strips []strip) {
	scale := [1]float32{g.Scale}
	for i := range strips {
		s := &strips[i]
		vector.ScaleRows(g.rows(g.op.DQ, s.row, s.rows, s.head), w.dq[i], scale[:])
	}
}

// sinksBackward must run before DQ is written, which may be DO. It sums in float64.
func (d *Device) sinksBackward(op *bindings.AttendBackward) {
	a := attention{Attend: &op.Attend}
	lse, sinks, sums := f32(op.LSE), f32(op.Sinks), f32(op.DSinks)
	d.parallel(op.Heads, func(_, head int) {
		var sum float64
		var dots [stripRows]float64
		for t := 0; t < op.O.Rows; t += stripRows {
			rows := min(stripRows, op.O.Rows-t)
			vector.RowDots(dots[:rows], a.rows(op.DO, t, rows, head), a.rows(op.O, t, rows, head))
			for i, x := range dots[:rows] {
				sum += math.Exp(float64(sinks[head])-float64(lse[(t+i)*op.Heads+head])) * x
			}
		}
		sums[head] -= float32(sum)
	})
}
