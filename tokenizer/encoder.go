package tokenizer

import (
	"slices"
	"strings"
)

// Limits of the word cache: the number of words, and the bytes of a word.
const (
	maxCachedWords = 1 << 17
	maxCachedBytes = 256
)

// An Encoder turns text into tokens. It caches the words it has encoded and must not be used by
// several goroutines at once.
type Encoder struct {
	t       *Tokenizer
	cache   map[string][]token
	scratch []token
}

// NewEncoder returns an Encoder with an empty cache, which grows to some tens of megabytes at
// most.
func (t *Tokenizer) NewEncoder() *Encoder {
	return &Encoder{t: t, cache: map[string][]token{}}
}

// Encode appends the ids of text to dst and returns the extended slice. With addSpecial it adds
// the post-processor's tokens around them. Special tokens spelled out in text are recognized in
// either case.
func (e *Encoder) Encode(dst []int32, text string, addSpecial bool) []int32 {
	if addSpecial {
		dst = append(dst, e.t.post.prefix...)
	}
	e.pieces(text, e.t.alwaysAlign, func(p piece, added *addedToken) {
		if added != nil {
			dst = append(dst, added.ID)
			return
		}
		for _, tok := range e.word(p.s) {
			dst = append(dst, tok.id)
		}
	})
	if addSpecial {
		dst = append(dst, e.t.post.suffix...)
	}
	return dst
}

// EncodeOffsets returns the ids of Encode and, for each, the span of text it covers. Spans are
// whole characters: all tokens of one character share its span. The post-processor's tokens
// have the span 0 to 0.
func (e *Encoder) EncodeOffsets(text string, addSpecial bool) (ids []int32, spans []Span) {
	add := func(id int32, name string, span Span) {
		for _, tr := range e.t.post.trims {
			span = tr.apply(text, name, len(ids) == 0, span)
		}
		ids, spans = append(ids, id), append(spans, span)
	}
	e.pieces(text, true, func(p piece, added *addedToken) {
		if added != nil {
			add(added.ID, p.s, p.span(0, len(p.s)))
			return
		}
		start := 0
		for _, tok := range e.word(p.s) {
			add(tok.id, e.t.tokens[tok.id], p.span(start, int(tok.end)))
			start = int(tok.end)
		}
	})
	if addSpecial {
		post := &e.t.post
		ids = append(append(slices.Clip(post.prefix), ids...), post.suffix...)
		spans = append(append(make([]Span, len(post.prefix)), spans...), make([]Span, len(post.suffix))...)
	}
	return ids, spans
}

// pieces yields the added tokens of a text and the words between them.
func (e *Encoder) pieces(text string, aligned bool, yield func(piece, *addedToken)) {
	t := e.t
	word := func(p piece) { yield(p, nil) }
	t.rawAdded.split(newPiece(text, aligned), func(p piece, added *addedToken) {
		if added != nil {
			yield(p, added)
			return
		}
		t.normalizedAdded.split(t.normalize(p), func(p piece, added *addedToken) {
			if added != nil {
				yield(p, added)
				return
			}
			words(t.preTokenizers, p, word)
		})
	})
}

// words runs a piece through the pre-tokenizers.
func words(steps []preTokenizer, p piece, yield func(piece)) {
	switch {
	case p.s == "":
	case len(steps) == 0:
		yield(p)
	default:
		steps[0](p, func(q piece) { words(steps[1:], q, yield) })
	}
}

// word returns the tokens of a word, valid until the next call.
func (e *Encoder) word(s string) []token {
	if tokens, ok := e.cache[s]; ok {
		return tokens
	}
	if id, ok := e.t.model.whole(s); ok {
		e.scratch = append(e.scratch[:0], token{id, int32(len(s))})
	} else {
		e.scratch = e.t.model.tokenize(e.scratch[:0], s)
	}
	if len(s) < maxCachedBytes && len(e.cache) < maxCachedWords {
		e.cache[strings.Clone(s)] = append([]token(nil), e.scratch...)
	}
	return e.scratch
}
