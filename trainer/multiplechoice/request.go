package multiplechoice

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"qlora/tokenizer"
)

// A request holds the tokens of an answer after its context.
type request struct {
	context, answer []int32
}

// encode returns the tokens of an answer after a context. Spaces at the context's end
// belong to the answer; the answer's tokens are those that the whole has beyond the
// context's (the harness's _encode_pair).
func encode(tok *tokenizer.Tokenizer, e *tokenizer.Encoder, context, answer string) (request, error) {
	trimmed := strings.TrimRightFunc(context, unicode.IsSpace)
	answer = context[len(trimmed):] + answer
	if trimmed == "" {
		return encodeAlone(tok, e, answer)
	}
	r := request{context: encodeOnce(tok, e, trimmed)}
	whole := encodeOnce(tok, e, trimmed+answer)
	if len(whole) <= len(r.context) {
		return r, fmt.Errorf("the answer %q adds no tokens to its question", answer)
	}
	r.answer = whole[len(r.context):]
	return r, nil
}

// encodeOnce encodes a text with the post-processor's tokens around it; a text that begins
// with those before it gets no second ones.
func encodeOnce(tok *tokenizer.Tokenizer, e *tokenizer.Encoder, text string) []int32 {
	ids, prefix := e.Encode(nil, text, true), tok.Prefix()
	if n := len(prefix); n > 0 && len(ids) >= 2*n && slices.Equal(ids[n:2*n], prefix) {
		return ids[n:]
	}
	return ids
}

// encodeAlone encodes an answer without a context, after the BOS token or else the EOS
// token.
func encodeAlone(tok *tokenizer.Tokenizer, e *tokenizer.Encoder, answer string) (request, error) {
	begin, ok := tok.BOS()
	if !ok {
		begin, ok = tok.EOS()
	}
	r := request{answer: e.Encode(nil, answer, false)}
	switch {
	case ok && len(r.answer) > 0 && r.answer[0] != begin:
		r.context = []int32{begin}
	case len(r.answer) > 1:
		r.context, r.answer = r.answer[:1], r.answer[1:]
	default:
		return r, fmt.Errorf("the answer %q has no context to follow", answer)
	}
	return r, nil
}

// cut keeps the last tokens of r that fit a model of most positions, and reports whether
// it cut any. The answer's last token is only predicted, not an input.
func (r *request) cut(most int) (bool, error) {
	if most == 0 || len(r.context)+len(r.answer) <= most+1 {
		return false, nil
	}
	if len(r.answer) > most {
		return false, fmt.Errorf("an answer has %d tokens, more than the model's %d positions", len(r.answer), most)
	}
	r.context = r.context[len(r.context)+len(r.answer)-most-1:]
	return true, nil
}

// ids returns the tokens of the sequence and their labels; only the answer has labels.
func (r *request) ids(ignored int32) (ids, labels []int32) {
	ids = append(append(ids, r.context...), r.answer...)
	labels = append(labels, ids...)
	for i := range r.context {
		labels[i] = ignored
	}
	return ids, labels
}
