package cpu

import (
	"math"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// attend processes the keys in tiles with a running maximum and sum (Milakov &
// Gimelshein 2018; Dao et al. 2022). A piece is a tile of queries of some heads of one key
// head; it packs each tile of keys once for all of them. A sequence with one query reads
// its keys in place.
func (d *Device) attend(op *bindings.Attend) {
	if single(op) {
		d.cached.lay(d, op)
		d.cached.run()
		return
	}
	a := attentionOf(&d.families, op)
	d.parallelLanes(a.queryPieces(), a.forwardFloats(), func(s scratch, piece int) { a.forward(piece, s) })
}

// attendFloats returns the scratch in floats.
func attendFloats(p *profile, op *bindings.Attend) int {
	if single(op) {
		return cachedFloats(op)
	}
	a := attentionOf(&p.families, op)
	return p.threads * padded(a.forwardFloats())
}

// forwardFloats returns the scratch of one lane in floats.
func (a *attention) forwardFloats() int {
	return planned(func(s *scratch) { a.forwardWork(s) })
}

// A forwardWork is one lane's memory for a tile of queries.
type forwardWork struct {
	strips  [tileStrips]strip
	running [tileStrips]running
	o       kernels.Operand // what is being packed; here so that it is not allocated

	q      [tileStrips][]byte    // left panels of the queries
	sums   [tileStrips][]float32 // the sums of the values so far, [rows, HeadDim]
	keys   []byte                // right panels of the keys, [tile, HeadDim]
	values []byte                // right panels of the values, [HeadDim, tile]
	scores []float32             // [strip, stride]
	p      []byte                // left panels of the probabilities, [strip, tile]
}

func (a *attention) forwardWork(s *scratch) *forwardWork {
	f := new(forwardWork)
	for i := range f.q {
		f.q[i] = s.bytes(a.info.LeftBytes(a.strip, a.HeadDim))
		f.sums[i] = s.take(a.strip * a.HeadDim)
	}
	f.keys = s.bytes(a.info.RightBytes(a.tile, a.HeadDim))
	f.values = s.bytes(a.info.RightBytes(a.HeadDim, a.tile))
	f.scores = s.take(a.strip * a.stride)
	f.p = s.bytes(a.info.LeftBytes(a.strip, a.tile))
	return f
}

// A running is the state of softmax for the rows of a strip.
type running struct {
	most [stripRows]float32 // the largest score
	sums [stripRows]float64 // the sum of e^(score - most)
	any  bool               // whether there is a sum of values
}

// forward computes O and LSE of a piece.
func (a *attention) forward(piece int, s scratch) {
	f := a.forwardWork(&s)
	t, strips := a.queryPiece(piece, f.strips[:])
	for i := range strips {
		a.begin(&f.running[i], strips[i].head)
		f.o = a.operand(a.Q, strips[i].row, strips[i].head)
		a.kernels.PackLeft(f.q[i], &f.o, strips[i].rows, a.HeadDim, 1)
	}
	kvHead := strips[0].head / t.group
	first, end := seenBy(strips, t.window)
	for from := first / a.align * a.align; from < end; from += a.tile {
		to := min(end, from+a.tile)
		f.o = a.operand(a.K, t.key+from, kvHead)
		a.kernels.PackRight(f.keys, &f.o, to-from, a.HeadDim, 1)
		f.o = a.operand(a.V, t.key+from, kvHead).T()
		a.kernels.PackRight(f.values, &f.o, a.HeadDim, to-from, 1)
		for i := range strips {
			a.forwardStrip(f, i, t.window, from, to)
		}
	}
	for i := range strips {
		a.finish(&strips[i], &f.running[i], f.sums[i])
	}
}

// begin clears the state of softmax, or starts it with the head's sink.
func (a *attention) begin(r *running, head int) {
	most, sum := float32(math.Inf(-1)), 0.0
	if !a.Sinks.Absent() {
		most, sum = f32(a.Sinks)[head], 1
	}
	for i := range r.most {
		r.most[i], r.sums[i] = most, sum
	}
	r.any = false
}

// forwardStrip adds the keys [from, to) to the sums of a strip.
func (a *attention) forwardStrip(f *forwardWork, i, window, from, to int) {
	s, r := &f.strips[i], &f.running[i]
	left, last := a.clip(s, window, from, to)
	if left >= last {
		return
	}
	keys := last - left
	a.kernels.Multiply(f.scores, a.stride, f.q[i], f.keys[a.info.RightBytes(left, a.HeadDim):], s.rows, keys, a.HeadDim, false)
	how := a.scores(s, window, from+left)
	tile := vector.Tile{Products: f.scores, Rows: s.rows, Cols: keys, Stride: a.stride, Type: a.form}
	sums := f.sums[i][:s.rows*a.HeadDim]
	scaled := sums
	if !r.any {
		scaled = nil
	}
	vector.Softmax(&tile, &how, r.most[:s.rows], r.sums[:s.rows], scaled)
	f.o = a.scoresOperand(f.scores)
	a.kernels.PackLeft(f.p, &f.o, s.rows, keys, 1)
	a.addPart(sums, f.p, f.values, s.rows, left, keys, to-from, r.any)
	r.any = true
}

// finish writes O and LSE.
func (a *attention) finish(s *strip, r *running, o []float32) {
	var factors [stripRows]float32
	for i := range s.rows {
		factors[i] = float32(1 / r.sums[i])
	}
	vector.ScaleRows(a.rows(a.O, s.row, s.rows, s.head), o, factors[:s.rows])
	if a.LSE.Absent() {
		return
	}
	lse := f32(a.LSE)[s.row*a.Heads+s.head:]
	for i := range s.rows {
		lse[i*a.Heads] = float32(float64(r.most[i]) + math.Log(r.sums[i]))
	}
}
