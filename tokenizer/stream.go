package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A Stream decodes tokens one by one as they are generated, special tokens
// left out. Its parts together are what Decode returns for all tokens with
// skipSpecial, wherever that is whole characters.
type Stream struct {
	t *Tokenizer
	// ids are the tokens of the text that was last given out, as many as
	// context, on which the next ones may depend, and those after them.
	ids     []int32
	context int
	given   string // the text of the context
}

// maxHeld is how many tokens may wait for a character to become whole.
const maxHeld = 64

// NewStream returns the decoder of a new text.
func (t *Tokenizer) NewStream() *Stream { return &Stream{t: t} }

// Push adds a token and returns the text that has become certain by it: never a
// part of a character, "" while one is incomplete.
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

// Flush ends the text and returns what was still held back.
func (s *Stream) Flush() string {
	fresh := s.after(s.t.Decode(s.ids, true))
	s.ids, s.context, s.given = nil, 0, ""
	return fresh
}

// after is the part of text after what was given out of it, whole characters.
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
