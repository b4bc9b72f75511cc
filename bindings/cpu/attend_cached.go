package cpu

import (
	"math"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// cachedKeys is the number of keys of a piece: one sequence keeps several cores busy.
const cachedKeys = vector.ScoreColumns

// cachedElements is the number of elements of K that the calling goroutine reads alone.
const cachedElements = 1 << 13

// A cachedAttention is the attention of single queries to cached keys, which are read in
// place. A piece is some keys of one sequence and some heads of one key head.
type cachedAttention struct {
	attention
	pieces int       // of the keys of the longest sequence
	groups int       // pieces of a key head's heads
	parts  []float32 // a cachedPart of each piece
}

// single reports whether every sequence has at most one query, as in generation.
func single(op *bindings.Attend) bool {
	return op.Queries.Longest() <= 1 && !(op.Random.Train && op.Dropout > 0)
}

// cachedPieces returns the pieces of a sequence's keys and of a key head's heads, and the
// number of all pieces.
func cachedPieces(op *bindings.Attend) (keys, heads, all int) {
	longest := op.Keys.Longest()
	if op.Window > 0 {
		longest = min(longest, op.Window)
	}
	keys, heads = tiles(longest, cachedKeys), tiles(op.Heads/op.KVHeads, vector.CachedHeads)
	return keys, heads, op.Queries.Count() * op.KVHeads * heads * keys
}

// cachedFloats returns the scratch of attendCached in floats.
func cachedFloats(op *bindings.Attend) int {
	_, _, all := cachedPieces(op)
	return all * cachedPartFloats(op.HeadDim)
}

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

func (d *Device) attendCached(op *bindings.Attend) {
	c := cachedAttention{attention: attention{Attend: op}}
	var all int
	c.pieces, c.groups, all = cachedPieces(op)
	c.parts = scratchOf(d.workspace).free
	if op.K.Rows*op.KVHeads*op.HeadDim <= cachedElements {
		for i := range all {
			c.run(i)
		}
	} else {
		shared := c
		d.parallel(all, func(_, piece int) { shared.run(piece) })
	}
	for i := range op.Queries.Count() {
		if op.Queries.Starts[i+1] == op.Queries.Starts[i] {
			continue
		}
		for head := range op.Heads {
			c.merge(i, head)
		}
	}
}

// place returns the number of a sequence's piece of some heads, and of the first of its keys.
func (c *cachedAttention) place(sequence, group, piece int) int {
	return (sequence*c.KVHeads*c.groups+group)*c.pieces + piece
}

// keysOf returns the positions of the keys of a piece of a sequence; none if from >= to.
func (c *cachedAttention) keysOf(s span, piece int) (from, to int) {
	from = max(0, s.keys-s.window) + piece*cachedKeys
	return from, min(s.keys, from+cachedKeys)
}

// headsOf returns the heads [first, last) of a group.
func (c *cachedAttention) headsOf(group int) (first, last int) {
	size := c.Heads / c.KVHeads
	kvHead, part := group/c.groups, group%c.groups
	first = kvHead*size + part*vector.CachedHeads
	return first, min((kvHead+1)*size, first+vector.CachedHeads)
}

func (c *cachedAttention) run(i int) {
	piece, group, sequence := i%c.pieces, i/c.pieces%(c.KVHeads*c.groups), i/c.pieces/(c.KVHeads*c.groups)
	s := spanOf(c.Attend, sequence)
	from, to := c.keysOf(s, piece)
	if s.queries == 0 || from >= to {
		return
	}
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

// merge writes O and LSE of one head from the pieces of a sequence's keys.
func (c *cachedAttention) merge(sequence, head int) {
	s := spanOf(c.Attend, sequence)
	size := c.Heads / c.KVHeads
	group := head/size*c.groups + head%size/vector.CachedHeads
	first, last := c.headsOf(group)
	top, sum := float32(math.Inf(-1)), 0.0
	if !c.Sinks.Absent() {
		top, sum = f32(c.Sinks)[head], 1
	}
	var o []float32
	for piece := range c.pieces {
		if from, to := c.keysOf(s, piece); from >= to {
			break
		}
		part := c.part(c.place(sequence, group, piece), last-first)
		at := head - first
		x := part.o[at*c.HeadDim : (at+1)*c.HeadDim]
		most := max(top, part.most[at])
		old, scale := math.Exp(float64(top-most)), math.Exp(float64(part.most[at]-most))
		sum = sum*old + part.sums[at]*scale
		top = most
		if o == nil {
			o = x
			vector.Scale(o, float32(scale))
			continue
		}
		vector.Scale(o, float32(old))
		vector.AddScaled(o, float32(scale), x)
	}
	factor := [1]float32{float32(1 / sum)}
	vector.ScaleRows(c.rows(c.O, s.query, 1, head), o, factor[:])
	if !c.LSE.Absent() {
		f32(c.LSE)[s.query*c.Heads+head] = float32(float64(top) + math.Log(sum))
	}
}
