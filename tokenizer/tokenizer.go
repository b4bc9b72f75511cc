// Package tokenizer turns text into token ids and back as a model's
// tokenizer.json says (https://huggingface.co/docs/tokenizers): byte-level
// BPE, BPE with byte fallback, and Unigram, with the bytes of the text that
// each token stands for.
//
// The steps and their order are those of Hugging Face's library: added tokens
// are cut out, the rest is normalized, cut into words by the pre-tokenizer,
// and spelled in tokens by the model; the post-processor's tokens go around
// it. Truncation and padding that the file may ask for are left to the caller.
package tokenizer

import "slices"

// A Tokenizer is the vocabulary and rules of one tokenizer.json. It is
// immutable and safe for concurrent use.
type Tokenizer struct {
	ids     map[string]int32 // model's tokens and added tokens
	tokens  []string         // by id; "" where the id is a hole
	special []bool           // by id: left out by Decode with skipSpecial
	spelled map[int32]string // added tokens that Decode gives in their normalized form

	rawAdded        *addedSet // added tokens found in the text as it is
	normalizedAdded *addedSet // added tokens found in the normalized text
	normalizer      normalizer
	preTokenizers   []preTokenizer
	model           model
	post            postProcessor
	decoders        []decoder

	// alwaysAlign is set where the ids themselves depend on the offsets.
	alwaysAlign bool

	bos, eos, pad int32 // -1: none
	files         []string
	sum           [32]byte
}

// A model spells one word in tokens, appended to dst. The ends of the tokens
// are positions in word, in bytes.
type model interface {
	tokenize(dst []token, word string) []token
	// whole is the id of a word that is taken as it stands, without merging.
	whole(word string) (int32, bool)
}

type token struct {
	id  int32
	end int32 // in the word, in bytes
}

// ID returns the id of a token by its name in the file, such as "<s>" or "Ġthe", and reports
// whether there is one.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token returns the name of a token in the file, "" for an id that has none.
func (t *Tokenizer) Token(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.tokens[id]
}

func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < len(t.tokens) }

// Special reports whether a token is no part of the text, such as the one that ends it.
func (t *Tokenizer) Special(id int32) bool { return t.has(id) && t.special[id] }

// Size returns the largest id + 1.
func (t *Tokenizer) Size() int { return len(t.tokens) }

// BOS returns the id of the token that begins a text, and reports whether the folder
// names one.
func (t *Tokenizer) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS returns the id of the token that ends a text, and reports whether the folder
// names one.
func (t *Tokenizer) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// PAD returns the id of the token that fills up a batch, and reports whether the folder
// names one.
func (t *Tokenizer) PAD() (int32, bool) { return t.pad, t.pad >= 0 }

// EOSToken returns the name of the token that ends a text, "" where there is none.
func (t *Tokenizer) EOSToken() string { return t.Token(t.eos) }

// Prefix returns the ids that the post-processor puts in front of a text.
func (t *Tokenizer) Prefix() []int32 { return slices.Clone(t.post.prefix) }

// Suffix returns the ids that the post-processor puts behind a text.
func (t *Tokenizer) Suffix() []int32 { return slices.Clone(t.post.suffix) }

// Sum returns a hash of the files that the tokenizer was read from: two with the same
// sum give the same tokens.
func (t *Tokenizer) Sum() [32]byte { return t.sum }

// Files returns the paths of the tokenizer's files, which are to be copied next to an
// adapter.
func (t *Tokenizer) Files() []string { return slices.Clone(t.files) }
