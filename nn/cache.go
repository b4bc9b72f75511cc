package nn

import (
	"slices"

	"qlora/bindings"
)

// A cache holds the keys and values of generated sequences, one row for each token. A
// sequence has rows that follow each other.
type cache struct {
	m      *Model
	mark   int64
	keys   []bindings.Tensor // per attention: [rows, kv heads·head_dim]
	values []bindings.Tensor
	rows   int
	all    []*Sequence // in the order of their rows

	pass cachedPass
}

// newCache allocates a cache of the planned size.
func (m *Model) newCache() *cache {
	a := m.memory.Arena(bindings.Activations)
	c := &cache{m: m, mark: a.Mark(), rows: m.decoding.rows}
	for _, width := range m.cached {
		c.keys = append(c.keys, a.New(m.info.Activation, c.rows, width))
		c.values = append(c.values, a.New(m.info.Activation, c.rows, width))
	}
	return c
}

func (c *cache) close() { c.m.memory.Arena(bindings.Activations).Release(c.mark) }

// reserve finds rows for a sequence, the first that are free, and reports whether there
// are enough.
func (c *cache) reserve(s *Sequence) bool {
	from := 0
	for i, other := range c.all {
		if other.first-from >= s.room {
			s.first = from
			c.all = slices.Insert(c.all, i, s)
			return true
		}
		from = other.first + other.room
	}
	if c.rows-from < s.room {
		return false
	}
	s.first = from
	c.all = append(c.all, s)
	return true
}

// release frees the rows of a sequence.
func (c *cache) release(s *Sequence) {
	if i := slices.Index(c.all, s); i >= 0 {
		c.all = slices.Delete(c.all, i, i+1)
	}
}

// A cachedPass is what a pass reads and writes in the cache. Its sequences are in the order
// of their rows. Rows between those of two sequences are sequences of their own, without
// queries, so that one operation reads the keys of all.
type cachedPass struct {
	of      []*Sequence
	fresh   []int // tokens of each in the pass
	first   int   // rows [first, end) hold the keys of all
	end     int
	queries bindings.Sequences
	keys    bindings.Sequences

	// whole says that the pass has the whole cache and one token of each sequence: its
	// operations depend on nothing else than the number of sequences, so it can be repeated.
	whole  bool
	rows   []int32         // of the fresh tokens in the cache
	places bindings.Tensor // I32 [1, tokens]: rows
}

// layOut lays out a pass of fresh tokens of each sequence.
func (c *cache) layOut(of []*Sequence, fresh []int, whole bool) {
	p := &c.pass
	p.of, p.fresh, p.first, p.whole, p.rows = of, fresh, of[0].first, whole, p.rows[:0]
	if whole {
		p.first = 0
	}
	queries, keys := []int32{0}, []int32{0}
	at := p.first
	skip := func(to int) {
		for at < to {
			at = min(to, at+c.m.decoding.longest) // no longer than a sequence can be
			queries, keys = append(queries, queries[len(queries)-1]), append(keys, int32(at-p.first))
		}
	}
	for i, s := range of {
		skip(s.first)
		at = s.first + s.past + fresh[i]
		for row := at - fresh[i]; row < at; row++ {
			p.rows = append(p.rows, int32(row))
		}
		queries, keys = append(queries, queries[len(queries)-1]+int32(fresh[i])), append(keys, int32(at-p.first))
	}
	if whole {
		skip(c.rows)
	}
	p.end = at
	// Empty sequences fill the plan, so that every pass of several needs the same scratch.
	for (whole || len(of) > 1) && len(keys) < c.m.decoding.boundaries() {
		queries, keys = append(queries, queries[len(queries)-1]), append(keys, keys[len(keys)-1])
	}
	p.queries, p.keys = bindings.Sequences{Starts: queries}, bindings.Sequences{Starts: keys}
	if whole {
		p.queries.Within, p.keys.Within = 1, c.m.decoding.longest
	}
}

// extended returns the keys and values of all sequences of the pass, for an attention.
func (c *cache) extended(attention int) (keys, values bindings.Tensor) {
	keys, values = c.keys[attention], c.values[attention]
	if c.pass.whole {
		return keys, values
	}
	return keys.Slice(c.pass.first, c.pass.end), values.Slice(c.pass.first, c.pass.end)
}

// extend normalizes and rotates queries and keys and appends keys and values to the
// cache, in one operation.
func (a *Attention) extend(p *pass, s *attentionState) {
	op := &bindings.Extend{
		Q: s.q, K: s.k, V: s.v, Heads: a.Heads, KVHeads: a.KVHeads, HeadDim: a.HeadDim,
		Keys: p.cache.keys[a.layer], Values: p.cache.values[a.layer], Rows: p.cache.pass.places,
	}
	op.QRoPE, op.KRoPE = a.rotations(p, s.q, s.k, false)
	if a.NormRotated && (a.QNorm != nil || a.KNorm != nil) {
		a.rotate(p, s.q, s.k, false)
		op.QRoPE, op.KRoPE = nil, nil
	}
	op.QNorm = a.headNorm(p, a.QNorm, &op.Q)
	op.KNorm = a.headNorm(p, a.KNorm, &op.K)
	if op.QNorm == nil && op.QRoPE == nil {
		s.q, op.Q = op.Q, bindings.Tensor{}
	} else {
		s.q = op.Q
	}
	p.run(op)
	s.keys, s.values = p.cache.extended(a.layer)
}

// headNorm returns the norm n of x's heads. A norm of the whole row runs at once, and x is what it
// returns.
func (a *Attention) headNorm(p *pass, n *HeadNorm, x *bindings.Tensor) *bindings.Norm {
	switch {
	case n == nil:
		return nil
	case n.WholeRow:
		*x, _ = p.normalizeHeads(p.work, n, *x, *x, nil)
		return nil
	}
	op := n.operation(n.shape(*x), normStats{})
	return &op
}
