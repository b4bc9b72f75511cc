// Package vocabulary converts a tokenizer between the files of a model's folder (tokenizer.json,
// tokenizer_config.json) and the keys tokenizer.ggml.* of a GGUF file, as llama.cpp reads and
// writes them (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, src/llama-vocab.cpp).
//
// A GGUF file names the rules that cut a text into words (tokenizer.ggml.pre), and has no
// normalizer. The table in words.go has the rules of each name.
package vocabulary

import (
	"fmt"
	"strconv"
)

// A Vocabulary holds what a GGUF file says of a tokenizer.
type Vocabulary struct {
	Model string // LlamaModel, GPT2Model, T5Model or Gemma4Model
	Pre   string // name of the pre-tokenizer; "": none

	Tokens []string
	Types  []Kind    // of each token; nil: all are normal
	Scores []float32 // of each token; nil: none
	Merges []string  // two tokens with a space between them

	// IDs of special tokens, by the names of [specials], such as "eos"; absent: none.
	IDs map[string]uint32

	// AddBOS and AddEOS add a token before and after a text; nil: as the model and the
	// pre-tokenizer have it by default.
	AddBOS, AddEOS *bool
	AddSpacePrefix *bool  // nil: the model's default
	RemoveSpaces   *bool  // runs of spaces become one; nil: false
	Charsmap       []byte // of a Unigram model's normalizer

	Template  string            // of chats; "": none
	Templates map[string]string // others, by name

	// Name and Architecture are general.name and general.architecture. llama.cpp derives flags
	// of Phi-3's tokens from the name.
	Name, Architecture string

	phi3 bool // the tokens take the spaces after them, as Phi-3's
}

// Values of Vocabulary.Model.
const (
	LlamaModel  = "llama"  // BPE of SentencePiece, with scores and bytes
	GPT2Model   = "gpt2"   // byte-level BPE
	T5Model     = "t5"     // Unigram
	Gemma4Model = "gemma4" // BPE with merges over text with U+2581 for spaces
)

// A Kind is a value of tokenizer.ggml.token_type.
type Kind int32

// Kinds of tokens.
const (
	Normal      Kind = 1
	Unknown     Kind = 2
	Control     Kind = 3
	UserDefined Kind = 4
	Unused      Kind = 5
	Byte        Kind = 6
)

// special is a token with a key of its own.
type special struct {
	name   string // in Vocabulary.IDs
	key    string // in GGUF, after "tokenizer.ggml."
	config string // in tokenizer_config.json; "": none
}

// specials lists the special tokens in llama.cpp's order.
var specials = []special{
	{"bos", "bos_token_id", "bos_token"},
	{"eos", "eos_token_id", "eos_token"},
	{"unk", "unknown_token_id", "unk_token"},
	{"sep", "sep" + "erator_token_id", "sep_token"}, // an old misspelling
	{"pad", "padding_token_id", "pad_token"},
	{"cls", "cls_token_id", "cls_token"},
	{"mask", "mask_token_id", "mask_token"},
	{"eot", "eot_token_id", ""},
	{"eom", "eom_token_id", ""},
}

// spaceSign replaces a space in SentencePiece's vocabularies.
const spaceSign = "▁"

func (v *Vocabulary) kind(id int) Kind {
	if v.Types == nil {
		return Normal
	}
	return v.Types[id]
}

// hole reports whether an id has no token: converters fill the rows of the embedding that
// have none with unused tokens like [PAD151700].
func (v *Vocabulary) hole(id int) bool {
	name := v.Tokens[id]
	if v.kind(id) != Unused || len(name) < 6 || name[:4] != "[PAD" {
		return name == ""
	}
	_, err := strconv.Atoi(name[4 : len(name)-1])
	return err == nil && name[len(name)-1] == ']'
}

// token returns the token of a special one; false if there is none.
func (v *Vocabulary) token(name string) (string, bool) {
	id, ok := v.IDs[name]
	if !ok || int(id) >= len(v.Tokens) || v.hole(int(id)) {
		return "", false
	}
	return v.Tokens[id], true
}

// check returns an error if the parts do not fit.
func (v *Vocabulary) check() error {
	n := len(v.Tokens)
	switch {
	case n == 0:
		return fmt.Errorf("tokenizer.ggml.tokens is missing or empty")
	case n > maxTokens:
		return fmt.Errorf("tokenizer.ggml.tokens has %d entries, more than %d", n, maxTokens)
	case len(v.Merges) > maxMerges:
		return fmt.Errorf("tokenizer.ggml.merges has %d entries, more than %d", len(v.Merges), maxMerges)
	case v.Types != nil && len(v.Types) != n:
		return fmt.Errorf("tokenizer.ggml.token_type has %d entries, and tokenizer.ggml.tokens %d", len(v.Types), n)
	case v.Scores != nil && len(v.Scores) != n:
		return fmt.Errorf("tokenizer.ggml.scores has %d entries, and tokenizer.ggml.tokens %d", len(v.Scores), n)
	}
	for id, score := range v.Scores {
		if score != score || score > 1e30 || score < -1e30 {
			return fmt.Errorf("tokenizer.ggml.scores: token %d has the score %g", id, score)
		}
	}
	seen := make(map[string]int, n)
	for id, name := range v.Tokens {
		if len(name) > maxTokenBytes {
			return fmt.Errorf("tokenizer.ggml.tokens: token %d has %d bytes, more than %d", id, len(name), maxTokenBytes)
		}
		if first, ok := seen[name]; ok && !v.hole(id) {
			return fmt.Errorf("tokenizer.ggml.tokens: %.40q is token %d and token %d", name, first, id)
		}
		seen[name] = id
	}
	return nil
}

// Limits on a vocabulary; real ones stay far below them.
const (
	maxTokens     = 1 << 21
	maxMerges     = 1 << 23
	maxTokenBytes = 1 << 12
)
