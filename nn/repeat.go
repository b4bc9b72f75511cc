package nn

import (
	"math/bits"
	"slices"

	"qlora/bindings"
)

// A pass is repeated by its shape: devices that replay work (bindings.Repeater) do so for
// passes of the same launches. So that few shapes do for micro-batches of any lengths, a
// micro-batch is filled up to a multiple of tokens with sequences that have no labels, their
// number to a multiple of sequences, and the bound of their lengths to a power of two. Where
// beginnings are shared, sequences that share all their tokens fill up the gathered keys.

// sequenceMultiple is the multiple of sequences in a filled micro-batch.
const sequenceMultiple = 4

// leastWithin is the least bound of lengths: a tile of attention.
const leastWithin = 64

// leastMultiple is the multiple of tokens of small micro-batches, and filledShare bounds what a
// micro-batch is filled up with: less than a 32nd of its tokens, from the least on.
const leastMultiple, filledShare = 16, 32

// filledTokens returns the tokens of a filled micro-batch of n.
func (m *Model) filledTokens(n int) int {
	k := m.info.TokenMultiple
	if k == 0 {
		return n
	}
	for k > leastMultiple && n < filledShare*k {
		k /= 2
	}
	return (n + k - 1) / k * k
}

// leastKeys is the multiple of gathered keys of small micro-batches, and keyShare bounds what they
// are filled up with: they are copied, and no query reads them.
const leastKeys, keyShare = 64, 4

// filledKeys returns the keys that a filled micro-batch of n tokens gathers, at least n and what
// its rows are filled up with.
func (m *Model) filledKeys(n int) int {
	if !m.repeats() {
		return n
	}
	n += m.info.TokenMultiple
	k := max(leastKeys, 1<<(bits.Len(uint(n))-1)/keyShare)
	return (n + k - 1) / k * k
}

// repeats reports whether the device repeats work.
func (m *Model) repeats() bool { return m.info.TokenMultiple > 0 }

// repeatsTokens reports whether the device repeats tokens of generation.
func (m *Model) repeatsTokens() bool { return m.repeats() || m.info.RepeatsTokens }

// filledSequences returns the most sequences of a filled micro-batch of up to n.
func (m *Model) filledSequences(n int, shares bool) int {
	switch {
	case !m.repeats():
		return n
	case shares: // each of the longest's length, but for the last
		return n + n/keyShare + 3*m.info.TokenMultiple + leastKeys + sequenceMultiple
	}
	return n + m.info.TokenMultiple + sequenceMultiple
}

// filled returns b with sequences that count for nothing behind its own: their tokens have no
// labels, so they have no loss and their gradients are zeros. None is longer than b's longest.
func (m *Model) filled(b *Batch) *Batch {
	tokens, longest := b.Tokens(), b.Longest()
	if !m.repeats() || longest == 0 {
		return b
	}
	all := tokens + m.filledTokens(b.Rows()) - b.Rows()
	rows := all
	if b.Beginnings != nil {
		all = m.filledKeys(tokens)
	}
	f := &Batch{
		IDs: slices.Grow(slices.Clone(b.IDs), all-tokens)[:all], Labels: slices.Grow(slices.Clone(b.Labels), all-tokens)[:all],
		Starts: slices.Clone(b.Starts),
	}
	for i := tokens; i < all; i++ {
		f.IDs[i], f.Labels[i] = 0, bindings.IgnoreLabel
	}
	if b.Weights != nil {
		f.Weights = append(slices.Clone(b.Weights), make([]float32, all-tokens)...)
	}
	for at := tokens; at < rows; {
		at = min(rows, at+longest)
		f.Starts = append(f.Starts, int32(at))
	}
	f.Beginnings = slices.Clone(b.Beginnings)
	if f.Beginnings != nil {
		f.Beginnings = append(f.Beginnings, make([]Beginning, f.Sequences()-b.Sequences())...)
		of := b.longestSequence()
		for at := rows; at < all; {
			n := min(all-at, longest)
			at += n
			f.Starts, f.Beginnings = append(f.Starts, int32(at)), append(f.Beginnings, Beginning{of, n})
		}
	}
	for f.Sequences() == b.Sequences() || f.Sequences()%sequenceMultiple != 0 {
		f.Starts = append(f.Starts, int32(all))
		if f.Beginnings != nil {
			f.Beginnings = append(f.Beginnings, Beginning{})
		}
	}
	return f
}

// within returns the bound of lengths for sequences.
func within(s *bindings.Sequences) int {
	return max(leastWithin, 1<<bits.Len(uint(max(s.Longest(), 1)-1)))
}

// A passKind is what is computed in a pass.
type passKind int

const (
	passTrain passKind = iota
	passEvaluate
	passDecode
	passCompare     // Model.compare
	passLogProbs    // Model.logProbs
	passPolicy      // Model.improve
	passTokenLosses // Model.tokenLosses
)

// A passKey has what determines the operations of a pass of a model, but for what its inputs
// on the device hold.
type passKey struct {
	kind              passKind
	backward          bool
	tokens, sequences int
	within            int
	keys, withinKeys  int  // that are gathered
	long              bool // with the tables of long sequences
	weighted, losses  bool
	train             bool // draws random numbers
	seed              uint64
	adapters          *overlayID
	keep, work        int64           // where the pass's memory begins
	cache             bindings.Tensor // the first keys; absent without a cache
	counts                            // of passCompare, and of the kinds after it
}

// counts has what else determines the operations of comparisons and of sampled completions.
type counts struct {
	sequences, others int // that count
	scale             float32
	share, out        bindings.Tensor
	old, reference    bool
}

// repeat runs work, the operations of a pass.
func (p *pass) repeat(kind passKind, of lossOf, also counts, work func()) {
	if kind != passDecode && !p.m.repeats() || p.m.Sharded() { // sharded: the host waits for what ranks send each other
		work()
		return
	}
	key := passKey{
		kind: kind, backward: p.backward, tokens: p.tokens, sequences: p.sequences.Count(), within: p.sequences.Within, long: p.m.switches(0, p.longest), counts: also,
		weighted: !of.weights.Absent(), losses: !of.losses.Absent(), train: p.random.Train, seed: p.random.Seed, adapters: p.m.on,
		keep: p.keep.Mark(), work: p.work.Mark(),
	}
	if p.gathered.shares() {
		key.keys, key.withinKeys = p.gathered.rows.Len(), p.keys.Within
	}
	if p.cache != nil && len(p.cache.keys) > 0 {
		key.cache = p.cache.keys[0]
	}
	bindings.Repeat(p.dev, key, work)
}
