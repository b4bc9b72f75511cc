package cpu

import (
	"fmt"
	"math"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/pool"
	"qlora/bindings/cpu/vector"
)

// A piece of attention to a cache has fewKeys keys, and more where a sequence would have more
// than manyPieces of them, up to a tile of scores. Where pieces begin depends on the
// sequence's length alone.
const (
	fewKeys    = 64
	manyPieces = 8
)

// cachedElements is the number of elements of K that the calling goroutine reads alone.
const cachedElements = 1 << 13

// A cachedAttention is the attention of single queries to cached keys, which are read in
// place, ready to run for any lengths of the sequences. A piece is some keys of one sequence and some heads of one
// key head.
type cachedAttention struct {
	attention
	d      *Device
	groups int       // pieces of a key head's heads
	parts  []float32 // a cachedPart of each piece
	asked  []asked
	job    *pool.Job
}

// asked is a sequence with a query.
type asked struct {
	span
	from   int // the first key that is seen
	atOnce int // keys of a piece
	pieces int // of the keys
	first  int // piece of all sequences
}

// single reports whether every sequence has at most one query, as in generation.
func single(op *bindings.Attend) bool {
	return op.Queries.Longest() <= 1 && !(op.Random.Train && op.Dropout > 0)
}

// keysAtOnce returns the keys of a piece of n keys.
func keysAtOnce(n int) int {
	size := fewKeys
	for size < vector.ScoreColumns && size*manyPieces < n {
		size *= 2
	}
	return size
}

// cachedFloats returns the scratch of a cachedAttention in floats, for sequences of any lengths up
// to the bound.
func cachedFloats(op *bindings.Attend) int {
	longest := op.Keys.Bound()
	if op.Window > 0 {
		longest = min(longest, op.Window)
	}
	keys := max(min(tiles(longest, fewKeys), manyPieces), tiles(longest, vector.ScoreColumns))
	return op.Q.Rows * op.KVHeads * headGroups(op) * keys * cachedPartFloats(op.HeadDim)
}

// headGroups returns the pieces of a key head's heads.
func headGroups(op *bindings.Attend) int { return tiles(op.Heads/op.KVHeads, vector.CachedHeads) }

func cachedPartFloats(dim int) int { return padded(2*vector.CachedHeads*dim + 3*vector.CachedHeads) }

// A cachedPart is the result of a piece, for each of its heads.
type cachedPart struct {
	o    []float32 // the sums of the values, [heads, HeadDim]
	q    []float32 // the query in float32, [heads, HeadDim]
	most []float32 // the largest score
	sums []float64 // the sum of e^(score - most)
}

func (c *cachedAttention) part(piece, heads int) cachedPart {
	n, most := c.HeadDim*vector.CachedHeads, vector.CachedHeads
	x := c.parts[piece*cachedPartFloats(c.HeadDim):]
	sums := x[2*n+most:]
	return cachedPart{
		o: x[:heads*c.HeadDim], q: x[n : n+heads*c.HeadDim], most: x[2*n : 2*n+heads],
		sums: unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(sums))), heads),
	}
}

// lay makes op ready.
func (c *cachedAttention) lay(d *Device, op *bindings.Attend) {
	c.attention, c.d, c.groups = attention{Attend: op}, d, headGroups(op)
	c.parts = scratchOf(d.workspace).free
	if c.job == nil {
		c.job = pool.NewJob(func(_, piece int) { c.piece(piece) })
	}
}

func (c *cachedAttention) run() {
	pieces, keys, err := c.ask()
	if err != nil {
		c.d.fail(err)
		return
	}
	if keys*c.KVHeads*c.HeadDim <= cachedElements {
		for i := range pieces {
			c.piece(i)
		}
	} else {
		c.d.pool.Do(c.job, pieces)
	}
	for i := range c.asked {
		for group := range c.KVHeads * c.groups {
			c.merge(&c.asked[i], group)
		}
	}
}

// ask finds the sequences with a query, and returns the number of their pieces and keys.
func (c *cachedAttention) ask() (pieces, keys int, err error) {
	queries, ends := startsOf(&c.Queries), startsOf(&c.Keys)
	c.asked = c.asked[:0]
	for i, from := range queries[:len(queries)-1] {
		if queries[i+1] == from {
			continue
		}
		s := asked{span: span{query: int(from), queries: 1, key: int(ends[i]), keys: int(ends[i+1] - ends[i])}, first: pieces}
		if queries[i+1] != from+1 || from < 0 || s.query >= c.Q.Rows || s.key < 0 || s.keys < 1 || s.key+s.keys > c.K.Rows || s.keys > c.Keys.Bound() {
			return 0, 0, fmt.Errorf("attend: rows %d to %d of %d queries and %d keys from %d on, of %d, are no sequence with a query", from, queries[i+1], c.Q.Rows, s.keys, s.key, c.K.Rows)
		}
		if c.Window > 0 {
			s.from = max(0, s.keys-c.Window)
		}
		n := s.keys - s.from
		s.atOnce = keysAtOnce(n)
		s.pieces = tiles(n, s.atOnce)
		pieces, keys = pieces+s.pieces*c.KVHeads*c.groups, keys+n
		c.asked = append(c.asked, s)
	}
	return pieces, keys, nil
}

// startsOf returns the boundaries in the device's memory, which are those of now.
func startsOf(s *bindings.Sequences) []int32 {
	if s.Device.Absent() {
		return s.Starts
	}
	return elements[int32](s.Device)[:len(s.Starts)]
}

// headsOf returns the heads [first, last) of a group.
func (c *cachedAttention) headsOf(group int) (first, last int) {
	size := c.Heads / c.KVHeads
	kvHead, part := group/c.groups, group%c.groups
	first = kvHead*size + part*vector.CachedHeads
	return first, min((kvHead+1)*size, first+vector.CachedHeads)
}

func (c *cachedAttention) piece(i int) {
	at := len(c.asked) - 1
	for c.asked[at].first > i {
		at--
	}
	s := &c.asked[at]
	group, piece := (i-s.first)/s.pieces, (i-s.first)%s.pieces
	from := s.from + piece*s.atOnce
	to := min(s.keys, from+s.atOnce)
	first, last := c.headsOf(group)
	part := c.part(i, last-first)
	for head := first; head < last; head++ {
		at := (head - first) * c.HeadDim
		q := vector.RowsAt(unsafe.Pointer(&part.q[at]), vector.F32, 1, c.HeadDim, c.HeadDim)
		vector.Convert(q, c.rows(c.Q, s.query, 1, head))
	}
	how := vector.Scores{Scale: c.Scale, Cap: c.Cap}
	stride := 0
	if !c.KeyBias.Absent() {
		stride = c.KeyBias.Cols
		how.Bias = f32(c.KeyBias)[first*stride+from : last*stride]
	}
	kvHead := group / c.groups
	vector.AttendCached(part.o, part.most, part.sums, part.q,
		c.rows(c.K, s.key+from, to-from, kvHead), c.rows(c.V, s.key+from, to-from, kvHead), &how, stride)
}

// merge writes O and LSE of the heads of a group from the pieces of a sequence's keys.
func (c *cachedAttention) merge(s *asked, group int) {
	first, last := c.headsOf(group)
	part := c.part(s.first+group*s.pieces, last-first)
	var sinks []float32
	if !c.Sinks.Absent() {
		sinks = f32(c.Sinks)[first:last]
	}
	vector.MergeCached(c.rows(c.O, s.query, 1, first), part.o, part.most, part.sums, cachedPartFloats(c.HeadDim), s.pieces, sinks)
	if c.LSE.Absent() {
		return
	}
	lse := f32(c.LSE)[s.query*c.Heads+first:]
	for h, most := range part.most {
		lse[h] = float32(float64(most) + math.Log(part.sums[h]))
	}
}
