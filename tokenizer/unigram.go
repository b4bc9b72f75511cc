package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
)

// unknownPenalty is subtracted from the lowest score for an unknown character.
const unknownPenalty = 10

// unigram spells a word in the pieces with the highest sum of scores (Kudo 2018,
// https://arxiv.org/abs/1804.10959).
type unigram struct {
	ids    map[string]int32
	pieces []scoredPiece // by id
	sorted []int32       // ids by piece, in the order of bytes
	first  [257]int      // where in sorted the pieces with a first byte begin
	bytes  *byteTable    // nil: no byte fallback
	unk    int32         // -1: none; what cannot be spelled is left out
	unkAt  float64       // score of an unknown character
	single bool          // round the sums of scores to 32 bits
}

func newUnigram(m *modelFile) (model, map[string]int32, error) {
	pieces, ids, err := readUnigramVocab(m.Vocab)
	if err != nil {
		return nil, nil, err
	}
	u := &unigram{ids: make(map[string]int32, len(ids)), pieces: pieces, unk: -1, unkAt: math.Inf(1)}
	maps.Copy(u.ids, ids)
	u.index()
	for _, p := range pieces {
		u.unkAt = min(u.unkAt, p.score-unknownPenalty)
	}
	if m.UnkID != nil {
		if u.unk = *m.UnkID; u.unk < 0 || int(u.unk) >= len(pieces) {
			return nil, nil, fmt.Errorf("unk_id %d is not in vocab, which has %d tokens", u.unk, len(pieces))
		}
	}
	if m.ByteFallback {
		u.bytes = newByteTable(ids)
	}
	if u.unk < 0 && u.bytes == nil {
		return nil, nil, errors.New("unk_id is missing; without it a text with an unknown character has no tokens")
	}
	return u, ids, nil
}

// index sorts the pieces of a Unigram model for prefixes.
func (u *unigram) index() {
	for name, id := range u.ids {
		if name != "" {
			u.sorted = append(u.sorted, id)
		}
	}
	slices.SortFunc(u.sorted, func(a, b int32) int { return cmp.Compare(u.pieces[a].name, u.pieces[b].name) })
	for b := range u.first {
		u.first[b] = sort.Search(len(u.sorted), func(i int) bool { return int(u.pieces[u.sorted[i]].name[0]) >= b })
	}
}

func (u *unigram) whole(string) (int32, bool) { return 0, false }

// prefixes yields the pieces that are prefixes of s, the shortest first.
func (u *unigram) prefixes(s string, yield func(id int32, length int)) {
	lo, hi := u.first[s[0]], u.first[int(s[0])+1]
	for n := 1; lo < hi; n++ {
		if name := u.pieces[u.sorted[lo]].name; len(name) == n {
			yield(u.sorted[lo], n)
			lo++
		}
		if n == len(s) {
			return
		}
		// All pieces from lo to hi begin with s[:n] and are longer.
		rest := u.sorted[lo:hi]
		from := sort.Search(len(rest), func(i int) bool { return u.pieces[rest[i]].name[n] >= s[n] })
		to := from + sort.Search(len(rest)-from, func(i int) bool { return u.pieces[rest[from+i]].name[n] > s[n] })
		lo, hi = lo+from, lo+to
	}
}

// A step is the last piece of the best spelling of a word up to a position.
type step struct {
	score float64
	from  int // -1: the place is not reached
	id    int32
}

func (u *unigram) tokenize(dst []token, word string) []token {
	best := make([]step, len(word)+1)
	for i := range best {
		best[i].from = -1
	}
	best[0].score = 0
	reached := 0
	for i := 0; i < len(word); {
		if u.single && math.Abs(best[i].score) > maxSum {
			rebase(best[i : reached+1])
		}
		offer := func(id int32, end int, score float64) {
			if best[end].from < 0 || score > best[end].score {
				best[end] = step{score, i, id}
				reached = max(reached, end)
			}
		}
		char := charLen(word[i:])
		known := false
		u.prefixes(word[i:], func(id int32, n int) {
			offer(id, i+n, u.round(best[i].score+u.pieces[id].score))
			known = known || n == char
		})
		if !known {
			offer(u.unk, i+char, u.round(best[i].score+u.unkAt))
		}
		i += char
	}
	return u.trace(dst, word, best)
}

// maxSum is the sum from which single precision starts again at 0.
const maxSum = 100000

// rebase subtracts the first score from all.
func rebase(best []step) {
	offset := best[0].score
	for i := range best {
		best[i].score = float64(float32(best[i].score - offset))
	}
}

// round rounds a sum of scores.
func (u *unigram) round(score float64) float64 {
	if u.single {
		return float64(float32(score))
	}
	return score
}

// trace walks back from the word's end. Adjacent unknown characters form one piece.
func (u *unigram) trace(dst []token, word string, best []step) []token {
	var ends []int
	for end := len(word); end > 0; end = best[end].from {
		last := len(ends) - 1
		if last >= 0 && best[end].id == u.unk && best[ends[last]].id == u.unk {
			best[ends[last]].from = best[end].from
			continue
		}
		ends = append(ends, end)
	}
	for _, end := range slices.Backward(ends) {
		from := best[end].from
		if id, ok := u.ids[word[from:end]]; ok {
			dst = append(dst, token{id, int32(end)})
			continue
		}
		if u.bytes != nil && u.bytes.has(word[from:end]) {
			for i := from; i < end; i++ {
				dst = append(dst, token{u.bytes[word[i]], int32(i + 1)})
			}
		} else if u.unk >= 0 {
			dst = append(dst, token{u.unk, int32(end)})
		}
	}
	return dst
}
