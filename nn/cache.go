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
	rows   []int32         // of the tokens in the cache
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
		p.rows = append(p.rows, int32(at-1))
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

// extend appends the keys and values of an attention and returns those of all sequences
// of the pass.
func (c *cache) extend(p *pass, attention int, k, v bindings.Tensor) (keys, values bindings.Tensor) {
	if c.pass.whole {
		p.run(&bindings.Copy{Dst: c.keys[attention], Src: k, Rows: c.pass.places})
		p.run(&bindings.Copy{Dst: c.values[attention], Src: v, Rows: c.pass.places})
		return c.keys[attention], c.values[attention]
	}
	row := 0
	for i, s := range c.pass.of {
		from, n := s.first+s.past, c.pass.fresh[i]
		p.run(&bindings.Copy{Dst: c.keys[attention].Slice(from, from+n), Src: k.Slice(row, row+n)})
		p.run(&bindings.Copy{Dst: c.values[attention].Slice(from, from+n), Src: v.Slice(row, row+n)})
		row += n
	}
	return c.keys[attention].Slice(c.pass.first, c.pass.end), c.values[attention].Slice(c.pass.first, c.pass.end)
}
