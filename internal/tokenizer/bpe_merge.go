package tokenizer

import (
	"cmp"
	"container/heap"
	"math"
)

// shortWord is the number of symbols from which on a heap beats looking
// through all pairs for the next to merge.
const shortWord = 32

// none is a pair that is not merged.
var none = merge{rank: math.MaxInt32}

func (b *bpe) mergeOf(left, right symbol) merge {
	if m, ok := b.merges[pair{left.id, right.id}]; ok {
		return m
	}
	return none
}

// mergeShort merges in place; of equal pairs the leftmost first.
func (b *bpe) mergeShort(symbols []symbol) []symbol {
	var buffer [shortWord]merge
	next := buffer[:len(symbols)] // next[i] is of symbols i and i+1
	for i := range len(symbols) - 1 {
		next[i] = b.mergeOf(symbols[i], symbols[i+1])
	}
	for len(symbols) > 1 {
		best := 0
		for i := range len(symbols) - 1 {
			if next[i].rank < next[best].rank {
				best = i
			}
		}
		if next[best] == none {
			break
		}
		symbols[best] = symbol{next[best].id, symbols[best].bytes + symbols[best+1].bytes}
		symbols = append(symbols[:best+1], symbols[best+2:]...)
		next = append(next[:best], next[best+1:]...)
		if best+1 < len(symbols) {
			next[best] = b.mergeOf(symbols[best], symbols[best+1])
		}
		if best > 0 {
			next[best-1] = b.mergeOf(symbols[best-1], symbols[best])
		}
	}
	return symbols
}

// A candidate is a pair that could be merged when it was put on the heap.
type candidate struct {
	merge
	pair
	at int32 // of the left symbol
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(c[i].rank, c[j].rank), cmp.Compare(c[i].at, c[j].at)) < 0
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// mergeLong does as mergeShort, in n·log n steps: files without a
// pre-tokenizer make a whole document one word.
func (b *bpe) mergeLong(symbols []symbol) []symbol {
	before := make([]int32, len(symbols)) // the neighbours that are left; -1: none
	after := make([]int32, len(symbols))
	var queue candidates
	try := func(i int32) {
		if i < 0 || after[i] < 0 {
			return
		}
		left, right := symbols[i], symbols[after[i]]
		if m := b.mergeOf(left, right); m != none {
			heap.Push(&queue, candidate{m, pair{left.id, right.id}, i})
		}
	}
	for i := range symbols {
		before[i], after[i] = int32(i)-1, int32(i)+1
	}
	after[len(symbols)-1] = -1
	for i := range symbols {
		try(int32(i))
	}
	for len(queue) > 0 {
		c := heap.Pop(&queue).(candidate)
		left, right := c.at, after[c.at]
		if right < 0 || symbols[left].bytes == 0 || (pair{symbols[left].id, symbols[right].id}) != c.pair {
			continue // one of the two was merged since
		}
		symbols[left] = symbol{c.id, symbols[left].bytes + symbols[right].bytes}
		symbols[right].bytes = 0
		after[left] = after[right]
		if after[left] >= 0 {
			before[after[left]] = left
		}
		try(before[left])
		try(left)
	}
	kept := symbols[:0]
	for _, s := range symbols {
		if s.bytes > 0 {
			kept = append(kept, s)
		}
	}
	return kept
}
