package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// gpt2Pattern cuts text into words where ByteLevel sets use_regex (encoder.py of
// https://github.com/openai/gpt-2).
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// alphabet maps each byte to one printable character, as GPT-2 does: a byte that is not a
// printable Latin-1 character maps to the next one from U+0100 on.
var alphabet, alphabetBytes = makeAlphabet()

func makeAlphabet() (spelled [256]string, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if (r < '!' || r > '~') && (r < 0xa1 || r > 0xac) && r < 0xae {
			r = next
			next++
		}
		spelled[b] = string(r)
		back[r] = byte(b)
	}
	return spelled, back
}

// toAlphabet spells the bytes of a piece in the alphabet.
func toAlphabet(p piece, yield func(piece)) {
	var b strings.Builder
	b.Grow(len(p.s) + len(p.s)/2)
	for i := range len(p.s) {
		b.WriteString(alphabet[p.s[i]])
	}
	q := piece{s: b.String(), start: p.start}
	if p.at != nil {
		q.at = make([]Span, 0, len(q.s))
		for i := range len(p.s) {
			for range len(alphabet[p.s[i]]) {
				q.at = append(q.at, p.at[i])
			}
		}
	}
	yield(q)
}

// fromAlphabet returns the bytes that tokens spell. A token with a character outside the
// alphabet is kept as it is.
func fromAlphabet(tokens []string) []string {
	var b []byte
	for _, s := range tokens {
		n := len(b)
		for _, r := range s {
			c, ok := alphabetBytes[r]
			if !ok {
				b = append(b[:n], s...)
				break
			}
			b = append(b, c)
		}
	}
	return []string{validUTF8(b)}
}

// validUTF8 replaces each maximal invalid subpart of b by one U+FFFD (Unicode Standard, 3.9, as
// Rust's from_utf8_lossy).
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			n = brokenPrefix(b)
		}
		out.WriteRune(r)
		b = b[n:]
	}
	return out.String()
}

// brokenPrefix returns the length in bytes, at least 1, of the truncated character that b
// begins with.
func brokenPrefix(b []byte) int {
	for n := min(3, len(b)); n > 1; n-- {
		if !utf8.FullRune(b[:n]) {
			return n
		}
	}
	return 1
}
