package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A Span is a range of bytes of a text: text[Start:End].
type Span struct {
	Start, End int
}

// A piece is a part of the text on its way to the model. With offsets requested, at holds for
// each byte of s the source span in the text (whole characters); otherwise at is nil.
type piece struct {
	s     string
	at    []Span
	start int // of the piece in the text; exact only with at, or while s is the text itself
}

func newPiece(text string, aligned bool) piece {
	p := piece{s: text}
	if aligned {
		p.at = make([]Span, len(text))
		for i := 0; i < len(text); {
			_, n := utf8.DecodeRuneInString(text[i:])
			for k := range n {
				p.at[i+k] = Span{i, i + n}
			}
			i += n
		}
	}
	return p
}

func (p piece) slice(lo, hi int) piece {
	q := piece{s: p.s[lo:hi], start: p.start + lo}
	if p.at != nil {
		q.at = p.at[lo:hi:hi]
		if lo < hi {
			q.start = p.at[lo].Start
		}
	}
	return q
}

// span returns the part of the text that bytes lo to hi of the piece come from.
func (p piece) span(lo, hi int) Span {
	hi = min(hi, len(p.at))
	if lo >= hi {
		return Span{p.start, p.start}
	}
	return Span{p.at[lo].Start, p.at[hi-1].End}
}

// A change is one character of a piece's new text. delta says how many old characters it
// consumes, as in Hugging Face's NormalizedString: 0 replaces the next old character, 1 inserts
// after it, -n replaces it and drops n more.
type change struct {
	r     rune
	delta int
}

// transform replaces the piece's characters by changes, after dropping the first skip old ones.
func (p piece) transform(changes []change, skip int) piece {
	var b strings.Builder
	b.Grow(len(p.s))
	if p.at == nil {
		for _, c := range changes {
			b.WriteRune(c.r)
		}
		return piece{s: b.String(), start: p.start}
	}
	old := 0
	drop := func(n int) {
		for ; n > 0 && old < len(p.s); n-- {
			_, w := utf8.DecodeRuneInString(p.s[old:])
			old += w
		}
	}
	drop(skip)
	at := make([]Span, 0, len(p.s))
	for _, c := range changes {
		i := old
		if c.delta > 0 {
			i--
		}
		from := Span{p.start, p.start}
		if len(p.at) > 0 && i >= 0 {
			from = p.at[min(i, len(p.at)-1)]
		}
		if c.delta <= 0 {
			drop(1 - c.delta)
		}
		n, _ := b.WriteRune(c.r)
		for range n {
			at = append(at, from)
		}
	}
	return piece{b.String(), at, p.start}
}

// prepend inserts text at the front and attributes it to the first character.
func (p piece) prepend(text string) piece {
	q := piece{s: text + p.s, start: p.start}
	if p.at != nil && p.s != "" {
		q.at = slices.Concat(slices.Repeat(p.at[:1], len(text)), p.at)
	}
	return q
}

// replace substitutes text for each match and attributes it to the last character of the match.
func (p piece) replace(match matcher, text string) piece {
	q := piece{start: p.start}
	var b strings.Builder
	last := 0
	match(p.s, func(lo, hi int) {
		b.WriteString(p.s[last:lo])
		b.WriteString(text)
		if p.at != nil {
			q.at = append(q.at, p.at[last:lo]...)
			for range len(text) {
				q.at = append(q.at, p.at[hi-1])
			}
		}
		last = hi
	})
	if last == 0 {
		return p
	}
	b.WriteString(p.s[last:])
	q.s = b.String()
	if p.at != nil {
		q.at = append(q.at, p.at[last:]...)
	}
	return q
}
