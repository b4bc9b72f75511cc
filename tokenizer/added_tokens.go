package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An addedSet finds added tokens in a text: the leftmost match, and of several at one place the
// longest.
type addedSet struct {
	tokens  map[string]*addedToken
	lengths [256][]int // lengths of the tokens by first byte, longest first
}

// splitAdded fills the two sets: tokens matched in the raw text, and tokens that are normalized
// themselves and matched in the normalized text.
func (t *Tokenizer) splitAdded(added []addedToken) {
	t.rawAdded, t.normalizedAdded = newAddedSet(), newAddedSet()
	t.spelled = map[int32]string{}
	t.list = added
	for i := range added {
		a := &added[i]
		if !a.Normalized {
			t.rawAdded.add(a.Content, a)
			continue
		}
		content := t.normalize(piece{s: a.Content}).s
		t.normalizedAdded.add(content, a)
		if content != a.Content {
			t.spelled[a.ID] = content
		}
	}
}

func newAddedSet() *addedSet { return &addedSet{tokens: map[string]*addedToken{}} }

func (set *addedSet) add(content string, a *addedToken) {
	if content == "" || set.tokens[content] != nil {
		return
	}
	set.tokens[content] = a
	lengths := &set.lengths[content[0]]
	if !slices.Contains(*lengths, len(content)) {
		*lengths = append(*lengths, len(content))
		slices.SortFunc(*lengths, func(a, b int) int { return b - a })
	}
}

// split yields the added tokens of a piece, and the pieces between them with
// a nil token.
func (set *addedSet) split(p piece, yield func(piece, *addedToken)) {
	last := 0
	if len(set.tokens) > 0 {
		last = set.cut(p, yield)
	}
	if last < len(p.s) {
		yield(p.slice(last, len(p.s)), nil)
	}
}

// cut yields everything up to the end of the last added token and returns that end.
func (set *addedSet) cut(p piece, yield func(piece, *addedToken)) int {
	last := 0
	for i := 0; i < len(p.s); {
		a, n := set.longest(p.s[i:])
		if a == nil {
			i++
			continue
		}
		lo, hi := i, i+n
		i = hi
		if a.SingleWord && (endsInWord(p.s[:lo]) || beginsWithWord(p.s[hi:])) {
			continue
		}
		if a.LStrip {
			lo = max(last, len(strings.TrimRightFunc(p.s[:lo], unicode.IsSpace)))
		}
		if a.RStrip {
			hi = len(p.s) - len(strings.TrimLeftFunc(p.s[hi:], unicode.IsSpace))
		}
		if lo > last {
			yield(p.slice(last, lo), nil)
		}
		yield(p.slice(lo, hi), a)
		last = hi
	}
	return last
}

func (set *addedSet) longest(s string) (*addedToken, int) {
	for _, n := range set.lengths[s[0]] {
		if n <= len(s) {
			if a := set.tokens[s[:n]]; a != nil {
				return a, n
			}
		}
	}
	return nil, 0
}

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func beginsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord reports whether r matches \w of Unicode's regular expressions (UTS #18, annex C).
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Nd, unicode.M, unicode.Pc,
		unicode.Other_Alphabetic, unicode.Join_Control)
}
