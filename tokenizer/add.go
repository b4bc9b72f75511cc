package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// An AddedToken is a token that is cut out of the text before the model sees it.
type AddedToken struct {
	Content string // not empty
	// Special marks a token that is not part of the text, such as the EOS token.
	Special bool
	// Normalized matches the token in the normalized text. Hugging Face's library sets it for
	// a token that is not special and given as a plain string.
	Normalized bool
	// SingleWord matches the token only between characters that are not of a word.
	SingleWord bool
	// LStrip and RStrip extend a match to the spaces on its left and right.
	LStrip, RStrip bool
}

// Add returns a tokenizer that also has tokens. A new token gets the next id: the first is the
// size of the model's vocabulary, or the largest id of an added token plus 1 if that is more. A
// token that the tokenizer has keeps its id and takes the new flags. [Tokenizer.ID] returns the
// ids, and [Tokenizer.Definition] the files with the tokens, as add_tokens and save_pretrained
// of transformers write them.
func (t *Tokenizer) Add(tokens []AddedToken) (*Tokenizer, error) {
	text, err := t.JSON()
	if err != nil {
		return nil, err
	}
	list, err := readAdded(text)
	if err != nil {
		return nil, err
	}
	next := t.modelSize
	for _, a := range list.tokens {
		if int(a.ID) >= next {
			next = int(a.ID) + 1
		}
	}
	for _, token := range tokens {
		if token.Content == "" {
			return nil, errors.New("an added token is empty")
		}
		id, ok := list.find(token.Content)
		if !ok {
			id, ok = t.ids[token.Content]
		}
		if !ok {
			for t.has(int32(next)) && t.tokens[next] != "" {
				next++
			}
			if next == math.MaxInt32 {
				return nil, fmt.Errorf("the added token %q has no free id", token.Content)
			}
			id = int32(next)
			next++
		}
		if err := list.set(id, token); err != nil {
			return nil, err
		}
	}
	text, err = list.splice(text)
	if err != nil {
		return nil, err
	}
	return t.with(text, list)
}

// with returns the tokenizer that text, a tokenizer.json with more added tokens, defines in t's
// folder.
func (t *Tokenizer) with(text []byte, list *addedList) (*Tokenizer, error) {
	n, err := parse(text)
	if err != nil {
		return nil, err
	}
	n.bos, n.eos, n.pad = t.bos, t.eos, t.pad
	for id, special := range t.special {
		n.special[id] = n.special[id] || special
	}
	n.files, n.sum, n.text = t.Files(), t.sum, text
	n.added = slices.Concat(t.added, list.changed)
	n.digest("tokenizer.json", text)
	return n, nil
}
