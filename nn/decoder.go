package nn

import (
	"fmt"
	"slices"

	"qlora/bindings"
)

// Together says how many sequences are generated together.
type Together struct {
	Sequences int // computed in one pass, up to the device's FewRows; 0: one
	Rows      int // tokens in the cache, of all sequences; 0: the longest for each
	Chunk     int // tokens of a prompt in one pass; 0: all
}

// decoding is what generation is planned for.
type decoding struct {
	longest   int // tokens of the longest prompt with its answer; 0: no generation
	sequences int // of a pass
	rows      int // of the cache
	chunk     int // tokens of a prompt in one pass
}

func newDecoding(longest int, t Together, info bindings.Info) decoding {
	few := max(info.FewRows, 1)
	d := decoding{longest: longest, sequences: min(max(t.Sequences, 1), few), rows: max(t.Rows, longest), chunk: longest}
	if t.Rows == 0 {
		d.rows = max(t.Sequences, 1) * longest
	}
	if t.Chunk > 0 {
		d.chunk = min(max(t.Chunk, 4*few), longest)
	}
	return d
}

// tokens returns the largest number of tokens of a pass.
func (d *decoding) tokens() int { return max(d.chunk, d.sequences) }

// boundaries returns the largest number of boundaries of a pass: of its sequences, and of
// the rows between, before and behind them.
func (d *decoding) boundaries() int { return 2*d.sequences + d.rows/max(d.longest, 1) + 3 }

// A Decoder generates sequences together. They begin and end independently of each other,
// and each may have its own adapters. A pass computes the next token of some sequences or
// a part of one prompt. The tokens of a sequence do not depend on the others where the
// device's FewRows holds.
type Decoder struct {
	m      *Model
	dev    bindings.Device
	cache  *cache
	logits bindings.Tensor // [sequences of a pass, vocabulary]
	raw    []byte
}

// NewDecoder returns a decoder on the planned memory (Shapes.Generate and Together). A model has one at a
// time, and runs nothing else meanwhile. The caller must close it.
func (m *Model) NewDecoder(dev bindings.Device) *Decoder {
	d := &Decoder{m: m, dev: dev, cache: m.newCache()}
	d.logits = m.memory.Arena(bindings.Activations).New(m.info.Activation, m.decoding.sequences, m.Config.Vocabulary)
	d.raw = make([]byte, d.logits.Bytes())
	return d
}

// Close frees the memory of all sequences.
func (d *Decoder) Close() { d.cache.close() }

// Longest returns the planned length of a sequence in tokens.
func (d *Decoder) Longest() int { return d.m.decoding.longest }

// A Sequence is one of a decoder's.
type Sequence struct {
	ids         []int32
	adapters    *Overlay
	first, room int // rows in the cache
	past        int // cached tokens
	length      int // of ids at the last pass
	logits      []float32
}

// Begin returns a sequence of prompt with room for most more tokens, or nil while the
// cache has none. adapters are those of the model that apply to it; nil: none but those
// that the model was assembled with. An error is about the prompt.
func (d *Decoder) Begin(prompt []int32, most int, adapters *Overlay) (*Sequence, error) {
	longest := d.m.decoding.longest
	if len(prompt) == 0 {
		return nil, fmt.Errorf("the prompt has no tokens; it needs at least one")
	}
	if len(prompt)+most > longest {
		return nil, fmt.Errorf("%d prompt tokens and %d new tokens exceed the planned length of %d", len(prompt), most, longest)
	}
	if err := CheckIDs(prompt, d.m.Config.Vocabulary); err != nil {
		return nil, err
	}
	if err := d.m.checkLength(len(prompt) + most); err != nil {
		return nil, err
	}
	s := &Sequence{adapters: adapters, room: len(prompt) + most}
	if !d.cache.reserve(s) {
		return nil, nil
	}
	s.ids = append(make([]int32, 0, s.room), prompt...)
	s.logits = make([]float32, d.m.Config.Vocabulary)
	return s, nil
}

// End frees the sequence's rows. It must not be used afterwards.
func (d *Decoder) End(s *Sequence) { d.cache.release(s) }

// Append adds the next token.
func (s *Sequence) Append(id int32) { s.ids = append(s.ids, id) }

// Pending returns the number of tokens that Extend has not processed.
func (s *Sequence) Pending() int { return len(s.ids) - s.past }

// Len returns the number of tokens.
func (s *Sequence) Len() int { return len(s.ids) }

// Logits returns the logits of the next token, valid when nothing is pending and until
// the next Extend.
func (s *Sequence) Logits() []float32 { return s.logits }

// Extend processes the pending tokens of sequences: of one with several, such as a prompt,
// up to a chunk. Sequences with one pending token share passes. Of sequences with the same tokens
// and adapters, as completions of one prompt begin, the first is computed and the others get copies.
func (d *Decoder) Extend(all ...*Sequence) error {
	var single []*Sequence
	var parts []sequencePart
	for _, s := range d.cache.all { // in the order of their rows
		if !slices.Contains(all, s) || s.Pending() == 0 {
			continue
		}
		if s.past > 0 && d.m.switches(s.length, len(s.ids)) {
			s.past = 0 // the keys are those of another table of positions
		}
		s.length = len(s.ids)
		if s.Pending() == 1 {
			single = append(single, s)
			continue
		}
		part := sequencePart{s, s.past}
		if i := slices.IndexFunc(parts, part.equals); i >= 0 {
			d.duplicate(s, parts[i].of)
			continue
		}
		if err := d.run([]*Sequence{s}, []int{d.part(s.Pending())}); err != nil {
			return err
		}
		parts = append(parts, part)
	}
	ones := make([]int, len(single))
	for i := range ones {
		ones[i] = 1
	}
	for len(single) > 0 {
		var now, later []*Sequence
		for _, s := range single {
			if len(now) < d.m.decoding.sequences && (len(now) == 0 || d.together(now[0], s)) {
				now = append(now, s)
			} else {
				later = append(later, s)
			}
		}
		if err := d.run(now, ones[:len(now)]); err != nil {
			return err
		}
		single = later
	}
	return nil
}

// A sequencePart is the pending tokens of a sequence behind its first from.
type sequencePart struct {
	of   *Sequence
	from int
}

// equals reports whether two parts have the same keys, values and logits.
func (p sequencePart) equals(o sequencePart) bool {
	return p.from == o.from && p.of.adapters == o.of.adapters && slices.Equal(p.of.ids, o.of.ids)
}

// duplicate gives a sequence what a pass has computed of another one, which has the same tokens.
func (d *Decoder) duplicate(to, of *Sequence) {
	for _, all := range slices.Concat(d.cache.keys, d.cache.values) {
		d.dev.Run(&bindings.Copy{Dst: all.Slice(to.first+to.past, to.first+of.past), Src: all.Slice(of.first+to.past, of.first+of.past)})
	}
	to.past = of.past
	copy(to.logits, of.logits)
}

// together reports whether two sequences can be in one pass: with the same adapters and
// tables of positions.
func (d *Decoder) together(a, b *Sequence) bool {
	return a.adapters == b.adapters && !d.m.switches(min(len(a.ids), len(b.ids)), max(len(a.ids), len(b.ids)))
}

// part returns how many of the pending tokens are processed next. It leaves none or more
// than FewRows, because a device may compute fewer in another way than a whole prompt.
func (d *Decoder) part(pending int) int {
	chunk, few := d.m.decoding.chunk, d.m.info.FewRows
	switch {
	case pending <= chunk:
		return pending
	case pending-chunk <= few:
		return chunk - few
	}
	return chunk
}

// run computes one pass of sequences, in the order of their rows: the next fresh tokens of
// each.
func (d *Decoder) run(of []*Sequence, fresh []int) error {
	m, b, longest := d.m, &Batch{Starts: []int32{0}}, 0
	var positions []int32
	for i, s := range of {
		b.IDs = append(b.IDs, s.ids[s.past:s.past+fresh[i]]...)
		b.Starts = append(b.Starts, int32(len(b.IDs)))
		for at := range fresh[i] {
			positions = append(positions, int32(s.past+at))
		}
		longest = max(longest, len(s.ids))
	}
	b.Labels = make([]int32, len(b.IDs))
	if o := of[0].adapters; o != nil {
		before := m.PutOn(o)
		defer m.PutOn(before)
	}
	done := fresh[0] == len(of[0].ids)-of[0].past
	whole := done && m.repeatsTokens() && !slices.ContainsFunc(fresh, func(n int) bool { return n != 1 })
	d.cache.layOut(of, fresh, whole)
	p, err := m.begin(d.dev, feed{Batch: b, positions: positions, longest: longest, cache: d.cache})
	if err != nil {
		return err
	}
	compute := func() {
		mark := p.work.Mark()
		x := m.forward(p).x
		if done {
			m.Head.logits(p, x.Slice(p.tokens-len(of), p.tokens), d.logits.Head(len(of)))
		}
		p.work.Release(mark)
	}
	if whole {
		p.repeat(passDecode, lossOf{}, counts{}, compute)
	} else {
		compute()
	}
	if err := m.shards.err; err != nil {
		return err
	}
	for i, s := range of {
		s.past += fresh[i]
	}
	if !done {
		return nil
	}
	return d.read(of)
}

// read copies the logits of sequences to the host.
func (d *Decoder) read(of []*Sequence) error {
	t := d.logits.Head(len(of))
	raw := d.raw[:t.Bytes()]
	if err := d.dev.Read(raw, t); err != nil {
		return err
	}
	each := len(raw) / len(of)
	for i, s := range of {
		decode(s.logits, raw[i*each:(i+1)*each], t.DType)
		d.m.Head.finish(s.logits)
	}
	return nil
}

// walkDecoding runs the largest passes of a decoder on a dry device.
func (m *Model) walkDecoding(dry bindings.Device) error {
	d, plan := m.NewDecoder(dry), &m.decoding
	defer d.Close()
	whole := &Sequence{ids: make([]int32, plan.longest), room: plan.longest}
	whole.past = plan.longest - plan.chunk
	if err := d.run([]*Sequence{whole}, []int{plan.chunk}); err != nil {
		return err
	}
	// A device may use other kernels for one token than for a prompt, and for more rows.
	for n := 1; n <= plan.sequences; n++ {
		of := make([]*Sequence, n)
		for i := range of {
			of[i] = &Sequence{ids: make([]int32, 1)}
		}
		last := of[n-1]
		last.ids, last.past = make([]int32, plan.longest), plan.longest-1
		if err := d.run(of, slices.Repeat([]int{1}, n)); err != nil {
			return err
		}
	}
	return nil
}
