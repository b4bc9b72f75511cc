package nn

import (
	"fmt"

	"qlora/bindings"
)

// A Beginning says that the first Tokens tokens of a sequence are those of an earlier
// sequence, Of, as both completions of a pair follow one prompt.
//
// What a token becomes depends on nothing behind it, so a pass computes a shared beginning
// once: it has a row for each token but for those that a sequence shares. Attention alone
// looks beyond its row. There, the keys of every sequence are gathered, shared ones several
// times, and a sequence has more keys than queries, as with a cache; backward adds up the
// gradients of a key's copies in the order of the sequences.
type Beginning struct{ Of, Tokens int }

// leastSaved is the number of tokens of which one must be shared for a micro-batch to
// share at all: gathering keys takes time, too.
const leastSaved = 32

// ShareBeginnings finds for each sequence the earlier one that has most of its beginning. Tokens before
// the one that predicts a sequence's first label are shared. It returns nil if there are too few.
func ShareBeginnings(ids, labels [][]int32) []Beginning {
	all := make([]Beginning, len(ids))
	tokens, saved := 0, 0
	for i, own := range ids {
		tokens += len(own)
		most := ownLabel(labels[i]) - 1
		for j := 0; j < i && all[i].Tokens < most; j++ {
			if n := common(own[:most], ids[j]); n > all[i].Tokens {
				all[i] = Beginning{Of: j, Tokens: n}
			}
		}
		saved += all[i].Tokens
	}
	if saved*leastSaved < tokens {
		return nil
	}
	return all
}

// LeastBeginnings returns beginnings of sequences with these boundaries that share no more tokens
// than ShareBeginnings needs to share any; nil for one sequence.
func LeastBeginnings(starts []int32) []Beginning {
	others := len(starts) - 2
	if others < 1 {
		return nil
	}
	all := make([]Beginning, others+1)
	each := int(starts[others+1]) / leastSaved / others
	for i := range others {
		all[i+1].Tokens = min(each, int(starts[1]), int(starts[i+2]-starts[i+1])-1)
	}
	return all
}

// ownLabel returns the place of a sequence's first label that a row predicts, at least 1; the number of tokens
// if it has none.
func ownLabel(labels []int32) int {
	for t := 1; t < len(labels); t++ {
		if labels[t] != bindings.IgnoreLabel {
			return t
		}
	}
	return max(1, len(labels))
}

// common returns the number of elements with which both begin.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// beginning returns the number of tokens that sequence s shares.
func (b *Batch) beginning(s int) int {
	if b.Beginnings == nil {
		return 0
	}
	return b.Beginnings[s].Tokens
}

// Rows returns the number of rows of a pass: tokens without shared ones.
func (b *Batch) Rows() int {
	n := b.Tokens()
	for _, s := range b.Beginnings {
		n -= s.Tokens
	}
	return n
}

// Gathered returns the number of keys that a pass gathers; 0 if nothing is shared.
func (b *Batch) Gathered() int {
	if b.Beginnings == nil {
		return 0
	}
	return b.Tokens()
}

// rowStarts returns the boundaries of the sequences' rows.
func (b *Batch) rowStarts() []int32 {
	if b.Beginnings == nil {
		return b.Starts
	}
	starts := []int32{0}
	for s := range b.Sequences() {
		starts = append(starts, starts[s]+b.Starts[s+1]-b.Starts[s]-int32(b.beginning(s)))
	}
	return starts
}

// ofRows returns the elements of x, which has one for each token, that rows have.
func ofRows[T any](b *Batch, x []T) []T {
	if b.Beginnings == nil {
		return x
	}
	out := make([]T, 0, b.Rows())
	for s := range b.Sequences() {
		out = append(out, x[int(b.Starts[s])+b.beginning(s):b.Starts[s+1]]...)
	}
	return out
}

// checkBeginnings returns an error for a beginning that is none.
func (b *Batch) checkBeginnings() error {
	if b.Beginnings != nil && len(b.Beginnings) != b.Sequences() {
		return fmt.Errorf("a micro-batch of %d sequences has %d beginnings", b.Sequences(), len(b.Beginnings))
	}
	for s, of := range b.Beginnings {
		if of.Tokens == 0 {
			continue
		}
		if of.Of < 0 || of.Of >= s || of.Tokens < 0 || of.Tokens > int(b.Starts[s+1]-b.Starts[s]) || of.Tokens > int(b.Starts[of.Of+1]-b.Starts[of.Of]) {
			return fmt.Errorf("sequence %d of a micro-batch cannot share %d tokens with sequence %d", s, of.Tokens, of.Of)
		}
	}
	return nil
}

// A keyGather says how the keys of a pass with shared beginnings are gathered, and their
// gradients added. The zero value is of a pass without.
type keyGather struct {
	rows   bindings.Tensor // I32 [1, keys]: each key's row
	keys   bindings.Tensor // I32 [1, keys]: the keys of the first row, of the second, …
	starts bindings.Tensor // I32 [1, rows+1]: where each row's begin
}

// gather appends the gather of a batch.
func (k *packing) gather(b *Batch) keyGather {
	rows, at := make([]int32, b.Tokens()), int32(0)
	for s := range b.Sequences() {
		own, n := rows[b.Starts[s]:b.Starts[s+1]], b.beginning(s)
		if n > 0 {
			from := b.Starts[b.Beginnings[s].Of]
			copy(own[:n], rows[from:])
		}
		for t := n; t < len(own); t++ {
			own[t] = at
			at++
		}
	}
	starts := make([]int32, at+1)
	for _, row := range rows {
		starts[row+1]++
	}
	for i := range at {
		starts[i+1] += starts[i]
	}
	keys, next := make([]int32, len(rows)), append([]int32(nil), starts...)
	for key, row := range rows {
		keys[next[row]] = int32(key)
		next[row]++
	}
	return keyGather{rows: k.ints(rows), keys: k.ints(keys), starts: k.ints(starts)}
}

// shares reports whether keys are gathered.
func (g *keyGather) shares() bool { return !g.rows.Absent() }

// gather returns the keys or values of all sequences, in the workspace.
func (p *pass) gather(x bindings.Tensor) bindings.Tensor {
	all := p.work.New(x.DType, p.gathered.rows.Len(), x.Cols)
	p.run(&bindings.Gather{X: x, Y: all, Rows: p.gathered.rows})
	return all
}

// gatherBackward computes the gradient of rows, d, from that of the gathered ones.
func (p *pass) gatherBackward(all, d bindings.Tensor) {
	p.run(&bindings.Gather{X: all, Y: d, Rows: p.gathered.keys, Starts: p.gathered.starts})
}
