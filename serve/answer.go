package serve

import (
	"slices"
	"strings"
	"unicode/utf8"

	"qlora/tokenizer"
)

// Reasons why an answer ends.
const (
	endStop   = "stop"   // the model ended it, or a text at which it stops
	endLength = "length" // it has as many tokens as it may
)

// A piece is a part of an answer: text, and the tokens with their probabilities if the
// request asks for them.
type piece struct {
	text   string
	tokens []scored
}

// A scored token is one with its text and its probability.
type scored struct {
	text    string
	logprob float32
	likely  []scored // the likeliest tokens in its place
	offset  int      // of its text in the answer, in characters
	at      int      // in bytes
}

// A reader turns the tokens of an answer into text.
type reader struct {
	tok      *tokenizer.Tokenizer
	stream   *tokenizer.Stream
	stop     stopper
	last     []int32  // the tokens on whose text the next one's may depend
	pending  []scored // whose text has not been returned
	read     int      // bytes of text from stream
	returned int      // of these, returned
	chars    int      // in what is read
	count    int      // of tokens
}

// newReader returns a reader of an answer to prompt.
func newReader(tok *tokenizer.Tokenizer, prompt []int32, stops []string) *reader {
	// The text of the first new token may depend on the prompt's last tokens.
	r := &reader{tok: tok, stream: tok.NewStream(), stop: stopper{stops: stops}, last: slices.Clone(prompt[max(0, len(prompt)-lookBack):])}
	for _, id := range prompt {
		r.stream.Push(id)
	}
	return r
}

// lookBack is the number of tokens before one with which its text is found.
const lookBack = 4

// push adds a token and returns the text that is sure to be part of the answer. done
// reports that it ends here.
func (r *reader) push(t token, probabilities bool) (p piece, done bool) {
	r.count++
	if probabilities {
		r.pending = append(r.pending, r.score(t))
	}
	r.last = append(r.last, t.id)
	r.last = r.last[max(0, len(r.last)-lookBack):]
	text := r.stream.Push(t.id)
	r.read += len(text)
	r.chars += utf8.RuneCountInString(text)
	text, done = r.stop.push(text)
	return r.take(text), done
}

// end returns the rest of an answer that no stop ended.
func (r *reader) end() piece {
	text, done := r.stop.push(r.stream.Flush())
	if !done {
		text += r.stop.flush()
	}
	p := r.take(text)
	if !done {
		p.tokens, r.pending = append(p.tokens, r.pending...), nil
	}
	return p
}

// take returns text with the tokens that begin in it.
func (r *reader) take(text string) piece {
	r.returned += len(text)
	n := 0
	for n < len(r.pending) && r.pending[n].at < r.returned {
		n++
	}
	p := piece{text, r.pending[:n:n]}
	r.pending = r.pending[n:]
	return p
}

// score returns a token with its text and those of the likeliest tokens.
func (r *reader) score(t token) scored {
	s := scored{text: r.textOf(t.id), logprob: t.logprob, offset: r.chars, at: r.read}
	for _, other := range t.likely {
		s.likely = append(s.likely, scored{text: r.textOf(other.id), logprob: other.logprob})
	}
	return s
}

// textOf returns the text that a token adds to the last ones; the name of a special token.
func (r *reader) textOf(id int32) string {
	if r.tok.Special(id) {
		return r.tok.Token(id)
	}
	before := r.tok.Decode(r.last, true)
	if text, ok := strings.CutPrefix(r.tok.Decode(append(slices.Clip(r.last), id), true), before); ok {
		return text
	}
	return r.tok.Decode([]int32{id}, true)
}
