package tokenizer

import "math"

// shortWord is the number of symbols from which a heap is faster than scanning all pairs for
// the next merge.
const shortWord = 32

// none marks a pair that does not merge.
var none = merge{rank: math.MaxInt32}

func (b *bpe) mergeOf(left, right symbol) merge {
	if m, ok := b.merges[pair{left.id, right.id}]; ok {
		return m
	}
	return none
}

// mergeShort merges in place; among equal pairs the leftmost merges first.
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

// mergeLong returns the same result as mergeShort in O(n log n): without a pre-tokenizer a
// whole document is one word.
func (b *bpe) mergeLong(symbols []symbol) []symbol {
	before := make([]int32, len(symbols)) // the neighbours that are left; -1: none
	after := make([]int32, len(symbols))
	queue := make(candidates, 0, len(symbols))
	try := func(i int32) {
		if i < 0 || after[i] < 0 {
			return
		}
		left, right := symbols[i], symbols[after[i]]
		if m := b.mergeOf(left, right); m != none {
			queue.push(candidate{uint64(m.rank)<<32 | uint64(i), pair{left.id, right.id}, m.id})
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
		c := queue.pop()
		left := int32(uint32(c.order))
		right := after[left]
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
