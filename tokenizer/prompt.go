package tokenizer

import "slices"

// EncodePrompt returns the ids of a text that a model continues: the post-processor's tokens
// before a text, such as BOS, and the text's own. A text that begins with those tokens itself
// gets no second ones.
func (e *Encoder) EncodePrompt(text string) []int32 {
	prefix := e.t.post.prefix
	ids := e.Encode(slices.Clone(prefix), text, false)
	if n := len(prefix); n > 0 && len(ids) >= 2*n && slices.Equal(ids[n:2*n], prefix) {
		return ids[n:]
	}
	return ids
}
