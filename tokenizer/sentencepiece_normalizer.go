package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// An spmNormalizer rewrites a text as the sentencepiece library does before encoding.
type spmNormalizer struct {
	charsmap    *charsmap
	symbols     *addedSet // user-defined symbols, which stay as they are
	space       string    // spells a space
	prefix      bool      // adds a space before a text
	suffix      bool      // adds a space after a text
	removeExtra bool
	always      bool // a part of the text after an added token begins like a text
}

// normalize returns the piece with spaces, and what the table of replacements lists, replaced.
func (n *spmNormalizer) normalize(p piece) piece {
	if p.s == "" {
		return p
	}
	begins := n.always || p.start == 0
	out := spmText{from: p}
	i := 0
	if n.removeExtra && begins {
		for i < len(p.s) {
			s, size := n.next(p.s[i:])
			if s != " " {
				break
			}
			i += size
		}
		if i == len(p.s) {
			return p.slice(i, i)
		}
	}
	if n.prefix && begins {
		out.add(n.space, i, i+charLen(p.s[i:]))
	}
	afterSpace := n.removeExtra && begins
	for i < len(p.s) {
		s, size := n.next(p.s[i:])
		if afterSpace {
			s = strings.TrimLeft(s, " ")
		}
		if s != "" {
			afterSpace = n.removeExtra && strings.HasSuffix(s, " ")
			if n.space != " " {
				s = strings.ReplaceAll(s, " ", n.space)
			}
			out.add(s, i, i+size)
		}
		i += size
	}
	if n.removeExtra {
		out.trimRight(n.space)
	}
	if n.suffix {
		out.add(n.space, i-charLenBefore(p.s), i)
	}
	return out.piece()
}

// next returns the replacement of the beginning of s and the length in bytes of what it
// replaces.
func (n *spmNormalizer) next(s string) (string, int) {
	if len(n.symbols.tokens) > 0 {
		if _, size := n.symbols.longest(s); size > 0 {
			return s[:size], size
		}
	}
	if to, size := n.charsmap.longestPrefix(s); size > 0 {
		return to, size
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		return "\uFFFD", 1
	}
	return s[:size], size
}

func charLenBefore(s string) int {
	_, n := utf8.DecodeLastRuneInString(s)
	return n
}

// An spmText collects a new text whose bytes come from ranges of a piece.
type spmText struct {
	from piece
	s    strings.Builder
	at   []Span
}

func (t *spmText) add(s string, lo, hi int) {
	t.s.WriteString(s)
	if t.from.at != nil {
		span := t.from.span(lo, hi)
		for range len(s) {
			t.at = append(t.at, span)
		}
	}
}

// trimRight removes all spaces at the end.
func (t *spmText) trimRight(space string) {
	s := t.s.String()
	n := len(s)
	for strings.HasSuffix(s[:n], space) {
		n -= len(space)
	}
	t.s.Reset()
	t.s.WriteString(s[:n])
	if t.from.at != nil {
		t.at = t.at[:n]
	}
}

func (t *spmText) piece() piece { return piece{t.s.String(), t.at, t.from.start} }
