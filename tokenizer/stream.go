package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A Stream decodes tokens one by one as they are generated, without special tokens. Its
// outputs, joined, equal Decode of all tokens with skipSpecial, wherever that is whole
// characters.
type Stream struct {
	t *Tokenizer
	// ids holds the tokens of the last output, the first context of them, on which the next
	// ones may depend, and the tokens after them.
	ids     []int32
	context int
	given   string // the text of the context
}

// maxHeld is the largest number of tokens that wait for a complete character.
const maxHeld = 64

// NewStream returns a Stream at the beginning of a text.
func (t *Tokenizer) NewStream() *Stream { return &Stream{t: t} }

// Push adds a token and returns the text that it completes: whole characters, or "" while one
// is incomplete.
func (s *Stream) Push(id int32) string {
	if !s.t.has(id) || s.t.special[id] {
		return ""
	}
	s.ids = append(s.ids, id)
	text := s.t.Decode(s.ids, true)
	if strings.HasSuffix(text, "\uFFFD") && len(s.ids)-s.context <= maxHeld {
		return ""
	}
	fresh := s.after(text)
	if fresh == "" {
		return ""
	}
	s.ids = slices.Clone(s.ids[s.context:])
	s.context = len(s.ids)
	s.given = s.t.Decode(s.ids, true)
	return fresh
}

// Flush ends the text and returns the pending part.
func (s *Stream) Flush() string {
	fresh := s.after(s.t.Decode(s.ids, true))
	s.ids, s.context, s.given = nil, 0, ""
	return fresh
}

// after returns the whole characters of text that follow the text already returned.
func (s *Stream) after(text string) string {
	same := 0
	for same < len(text) && same < len(s.given) && text[same] == s.given[same] {
		same++
	}
	for same > 0 && same < len(text) && !utf8.RuneStart(text[same]) {
		same--
	}
	return text[same:]
}
