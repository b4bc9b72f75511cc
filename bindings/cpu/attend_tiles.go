package cpu

import (
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// Attention works on strips of queries of one head, and on the keys of a tile that several
// strips share. Where they begin depends on the operation's shape and the kernels' family
// only, and so do the depths of products.
const (
	stripRows  = 64  // maximum queries of a strip
	tileStrips = 4   // maximum strips that share a tile of keys
	tileKeys   = 256 // maximum keys of a tile, if panels have no more lines
	alignKeys  = 64  // a strip's keys in a tile begin at about a multiple
)

// A span is one sequence of an attention.
type span struct {
	query, queries int // first row of Q, and number of rows
	key, keys      int // first row of K, and number of rows
	window         int // keys a query sees, up to its own
}

func spanOf(op *bindings.Attend, i int) span {
	q0, q1 := int(op.Queries.Starts[i]), int(op.Queries.Starts[i+1])
	k0, k1 := int(op.Keys.Starts[i]), int(op.Keys.Starts[i+1])
	s := span{query: q0, queries: q1 - q0, key: k0, keys: k1 - k0, window: op.Window}
	if s.window == 0 {
		s.window = s.keys
	}
	return s
}

// A strip is consecutive queries of one head. Query i of them sees the span's window keys
// up to position end + i, without it.
type strip struct {
	head      int
	row, rows int // first row of Q, and number of rows
	end       int
}

// seen returns the range of the positions of keys that any query of the strip sees.
func (s *strip) seen(window int) (from, to int) {
	return max(0, s.end-window), s.end + s.rows - 1
}

// A tiling divides the queries of a span. Each tile is the strips of some adjacent heads of
// one group and some adjacent queries.
type tiling struct {
	span
	strip   int // maximum queries of a strip
	group   int // heads per key head
	heads   int // maximum heads of a tile
	strips  int // maximum strips of each of them
	subsets int // tiles that divide the heads of a group
}

func (a *attention) tiling(i int) tiling {
	t := tiling{span: spanOf(a.Attend, i), strip: a.strip, group: a.Heads / a.KVHeads}
	t.heads = min(t.group, tileStrips)
	t.strips = max(1, tileStrips/t.heads)
	t.subsets = tiles(t.group, t.heads)
	return t
}

// tall returns the number of tiles that divide the queries.
func (t *tiling) tall() int { return tiles(t.queries, t.strips*t.strip) }

// tile returns the strips of the queries of tile n and of one subset of a key head's heads.
func (t *tiling) tile(out []strip, n, kvHead, subset int) []strip {
	out = out[:0]
	first := n * t.strips * t.strip
	for head := subset * t.heads; head < min(t.group, (subset+1)*t.heads); head++ {
		for at := first; at < min(t.queries, first+t.strips*t.strip); at += t.strip {
			out = append(out, strip{
				head: kvHead*t.group + head, row: t.query + at, rows: min(t.strip, t.queries-at),
				end: at + t.keys - t.queries + 1,
			})
		}
	}
	return out
}

// queryPieces returns the number of tiles of queries of all sequences and heads.
func (a *attention) queryPieces() int {
	n := 0
	for i := range a.Queries.Count() {
		t := a.tiling(i)
		n += t.tall() * t.subsets * a.KVHeads
	}
	return n
}

// queryPiece returns a tile of queries and its sequence's tiling. The last queries of a
// sequence see the most keys: their tiles come first.
func (a *attention) queryPiece(piece int, out []strip) (tiling, []strip) {
	for i := 0; ; i++ {
		t := a.tiling(i)
		across := t.subsets * a.KVHeads
		if here := t.tall() * across; piece >= here {
			piece -= here
			continue
		}
		return t, t.tile(out, t.tall()-1-piece/across, piece%across/t.subsets, piece%t.subsets)
	}
}

// seenBy returns the range of the positions of keys that any of the strips sees.
func seenBy(strips []strip, window int) (from, to int) {
	from, to = strips[0].seen(window)
	for i := range strips[1:] {
		a, b := strips[1+i].seen(window)
		from, to = min(from, a), max(to, b)
	}
	return from, to
}

// An attention is what the pieces of an operation share.
type attention struct {
	*bindings.Attend
	kernels kernels.Family
	info    *kernels.Info
	strip   int         // maximum queries of a strip, whole left panels
	align   int         // a strip's keys in a tile begin at a multiple, a whole right panel
	tile    int         // maximum keys of a tile, a multiple of align
	stride  int         // elements between the rows of a tile of scores
	form    vector.Type // of probabilities as operands
	dropout *vector.Dropout
}

func attentionOf(families *families, op *bindings.Attend) attention {
	f := families.of(op.Q.DType)
	a := attention{Attend: op, kernels: f, info: f.Info()}
	a.strip = max(1, stripRows/a.info.Rows) * a.info.Rows
	a.align = tiles(alignKeys, a.info.Cols) * a.info.Cols
	a.tile = max(1, tileKeys/a.align) * a.align
	a.stride = padded(a.tile)
	if a.info.BF16 {
		a.form = vector.BF16
	}
	if op.Random.Train && op.Dropout > 0 {
		d := vector.NewDropout(op.Random.Seed, op.Stream, op.Random.Step, op.Dropout)
		a.dropout = &d
	}
	return a
}

// operand returns one head of t's rows from row on, [rows, HeadDim], for products.
func (a *attention) operand(t bindings.Tensor, row, head int) kernels.Operand {
	return kernels.Operand{Type: t.DType, Data: a.address(t, row, head), Stride: t.Stride()}
}

// rows returns one head of rows of t for loops.
func (a *attention) rows(t bindings.Tensor, row, rows, head int) vector.Rows {
	return vector.RowsAt(a.address(t, row, head), types[t.DType], rows, a.HeadDim, t.Stride())
}

func (a *attention) address(t bindings.Tensor, row, head int) unsafe.Pointer {
	return unsafe.Add(t.Address(), int64(row*t.Stride()+t.Column(head*a.HeadDim))*t.DType.Size())
}

// scores returns how the scores of a strip are made in a tile whose first key has a position.
func (a *attention) scores(s *strip, window, position int) vector.Scores {
	how := vector.Scores{
		Scale: a.Scale, Cap: a.Cap, End: s.end - position, Window: window,
		Dropout: a.dropout, Row: s.row*a.Heads + s.head, Heads: a.Heads, Position: position,
	}
	if !a.KeyBias.Absent() {
		n := a.KeyBias.Cols
		how.Bias = f32(a.KeyBias)[s.head*n+position : (s.head+1)*n]
	}
	return how
}

// scoresOperand returns a tile of scores as an operand [rows, cols].
func (a *attention) scoresOperand(scores []float32) kernels.Operand {
	o := kernels.Operand{Type: bindings.F32, Data: unsafe.Pointer(unsafe.SliceData(scores)), Stride: a.stride}
	if a.info.BF16 {
		o.Type, o.Stride = bindings.BF16, 2*a.stride
	}
	return o
}

// clip returns the keys [left, last) of a tile [from, to) that the scores of a strip take,
// counted from the tile's first; none if left >= last.
func (a *attention) clip(s *strip, window, from, to int) (left, last int) {
	first, end := s.seen(window)
	return max(0, first-from) / a.align * a.align, min(end, to) - from
}

// addPart adds left [rows, depth]·right to sums [rows, HeadDim], for the part of a right
// operand [HeadDim, packed] from depth from on.
func (a *attention) addPart(sums []float32, left, right []byte, rows, from, depth, packed int, add bool) {
	if from == 0 && a.info.RightBytes(1, depth) == a.info.RightBytes(1, packed) {
		a.kernels.Multiply(sums, a.HeadDim, left, right, rows, a.HeadDim, depth, add)
		return
	}
	for col := 0; col < a.HeadDim; col += a.info.Cols {
		part := right[a.info.RightPart(col, packed, from):]
		a.kernels.Multiply(sums[col:], a.HeadDim, left, part, rows, min(a.info.Cols, a.HeadDim-col), depth, add)
	}
}
