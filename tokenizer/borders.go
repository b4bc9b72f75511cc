package tokenizer

import "strings"

// spaceSign replaces a space in SentencePiece's vocabularies.
const spaceSign = "▁"

// cutsBeforeSpaces reports whether no token of several characters spans the border between a
// character and a space that follows it. Then the parts before and after such a border merge
// independently, in any order of the merges, and a document without a pre-tokenizer can be cut
// there instead of being one word.
func (b *bpe) cutsBeforeSpaces() bool {
	// The sign must have a token: an unknown character waits for one.
	if _, ok := b.ids[spaceSign]; !ok || b.ignoreMerges {
		return false
	}
	made := make(map[int32]bool, len(b.merges))
	for _, m := range b.merges {
		made[m.id] = true
	}
	for name, id := range b.ids {
		if made[id] && nextBorder(name, 0) < len(name) {
			return false
		}
	}
	return true
}

// cutBeforeSpaces, a preTokenizer, cuts at every such border.
func cutBeforeSpaces(p piece, yield func(piece)) {
	for from := 0; from < len(p.s); {
		to := nextBorder(p.s, from)
		yield(p.slice(from, to))
		from = to
	}
}

// nextBorder returns the index in s, after from, of the next space that follows a different
// character, or len(s).
func nextBorder(s string, from int) int {
	for at := from; ; at += len(spaceSign) {
		i := strings.Index(s[at:], spaceSign)
		if i < 0 {
			return len(s)
		}
		at += i
		if at > from && !strings.HasSuffix(s[:at], spaceSign) {
			return at
		}
	}
}
