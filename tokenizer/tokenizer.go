// Package tokenizer turns text into token ids and back as a model's tokenizer.json specifies
// (https://huggingface.co/docs/tokenizers): byte-level BPE, BPE with byte fallback, and
// Unigram, with the span of text of each token. A folder without tokenizer.json is read from
// tokenizer.model (SentencePiece), tekken.json, a file of tiktoken, or vocab.json and
// merges.txt.
//
// The steps follow Hugging Face's library: added tokens are cut out; the rest is normalized,
// cut into words by the pre-tokenizer, and spelled in tokens by the model; the post-processor
// adds tokens around the result. Truncation and padding settings of the file are ignored; they
// are the caller's.
package tokenizer

import "slices"

// A Tokenizer is the vocabulary and rules of one model's tokenizer. It is immutable and safe for
// concurrent use.
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
	modelSize     int   // tokens of the model, without the added ones
	files         []string
	sum           [32]byte

	dir   place        // that the files are in
	path  string       // of the file that defines the vocabulary
	text  []byte       // the tokenizer.json where it is not the file at path
	list  []addedToken // all added tokens
	added []addedToken // those by Add
	// withAdded, of a SentencePiece model, returns the tokenizer with more added tokens.
	withAdded func([]addedToken) (*Tokenizer, error)
	// pieces is the SentencePiece model, and spacePrefix whether a text begins with a space.
	pieces      *spmModel
	spacePrefix bool
	names       map[string]string // special tokens by key; "": null
}

// A model spells one word in tokens and appends them to dst. The ends of the tokens are byte
// positions in word.
type model interface {
	tokenize(dst []token, word string) []token
	// whole returns the id of a word that is used without merging.
	whole(word string) (int32, bool)
}

type token struct {
	id  int32
	end int32 // in the word, in bytes
}

// ID returns the id of a token by its name in the file, such as "<s>" or "Ġthe", and whether
// there is one.
func (t *Tokenizer) ID(token string) (int32, bool) {
	id, ok := t.ids[token]
	return id, ok
}

// Token returns the name of a token in the file, or "" if the id has none.
func (t *Tokenizer) Token(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.tokens[id]
}

func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < len(t.tokens) }

// Special reports whether a token is not part of the text, such as the EOS token.
func (t *Tokenizer) Special(id int32) bool { return t.has(id) && t.special[id] }

// Size returns the largest id + 1.
func (t *Tokenizer) Size() int { return len(t.tokens) }

// BOS returns the id of the token that begins a text; false if the folder names none.
func (t *Tokenizer) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS returns the id of the token that ends a text; false if the folder names none.
func (t *Tokenizer) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// PAD returns the id of the padding token; false if the folder names none.
func (t *Tokenizer) PAD() (int32, bool) { return t.pad, t.pad >= 0 }

// EOSToken returns the name of the token that ends a text, or "" if there is none.
func (t *Tokenizer) EOSToken() string { return t.Token(t.eos) }

// SpecialTokens returns the folder's special tokens by the keys of tokenizer_config.json, such as
// "bos_token": those that a file names, or else the vocabulary or its class in transformers.
func (t *Tokenizer) SpecialTokens() map[string]string {
	named := map[string]string{}
	for key, name := range t.names {
		if name != "" {
			named[key] = name
		}
	}
	return named
}

// Prefix returns the ids that the post-processor adds before a text.
func (t *Tokenizer) Prefix() []int32 { return slices.Clone(t.post.prefix) }

// Suffix returns the ids that the post-processor adds after a text.
func (t *Tokenizer) Suffix() []int32 { return slices.Clone(t.post.suffix) }

// Sum returns a hash of the tokenizer's files. Tokenizers with the same sum return the same
// tokens.
func (t *Tokenizer) Sum() [32]byte { return t.sum }

// Files returns the paths of the tokenizer's files, to be copied next to an adapter.
func (t *Tokenizer) Files() []string { return slices.Clone(t.files) }
