package tokenizer

import "strings"

// spaceSign is what SentencePiece's vocabularies have in place of a space.
const spaceSign = "▁"

// cutsBeforeSpaces tells whether no token of several characters goes on over the
// border between a character and a space behind it. Then what is before and behind
// such a border is merged as if it stood alone, whatever the order of the merges,
// and a document that no pre-tokenizer cuts need not be one word.
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

// cutBeforeSpaces is a preTokenizer that cuts at every such border.
func cutBeforeSpaces(p piece, yield func(piece)) {
	for from := 0; from < len(p.s); {
		to := nextBorder(p.s, from)
		yield(p.slice(from, to))
		from = to
	}
}

// nextBorder is where in s, behind from, a space begins that has another character
// before it, or else the end.
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
