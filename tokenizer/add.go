package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
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
	if t.withAdded != nil {
		return t.addToModel(tokens)
	}
	text, err := t.JSON()
	if err != nil {
		return nil, err
	}
	list, err := readAdded(text)
	if err != nil {
		return nil, err
	}
	if err := t.number(list, tokens); err != nil {
		return nil, err
	}
	if text, err = list.splice(text); err != nil {
		return nil, err
	}
	n, err := parse(text)
	if err != nil {
		return nil, err
	}
	n.text = text
	n.inherit(t, list.changed, text)
	return n, nil
}

// addToModel is Add for a SentencePiece model, which has no tokenizer.json.
func (t *Tokenizer) addToModel(tokens []AddedToken) (*Tokenizer, error) {
	list := &addedList{tokens: slices.Clone(t.list), raw: make([]json.RawMessage, len(t.list))}
	if err := t.number(list, tokens); err != nil {
		return nil, err
	}
	all := slices.Concat(t.added, list.changed)
	n, err := t.withAdded(all)
	if err != nil {
		return nil, err
	}
	n.withAdded = t.withAdded
	text, err := marshal(all, "", "")
	n.inherit(t, list.changed, text)
	return n, err
}

// number gives ids to tokens and puts them in the list.
func (t *Tokenizer) number(list *addedList, tokens []AddedToken) error {
	next := t.modelSize
	for _, a := range list.tokens {
		if int(a.ID) >= next {
			next = int(a.ID) + 1
		}
	}
	for _, token := range tokens {
		if token.Content == "" || !utf8.ValidString(token.Content) {
			return fmt.Errorf("the added token %q is not text", token.Content)
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
				return fmt.Errorf("the added token %q has no free id", token.Content)
			}
			id = int32(next)
			next++
		}
		if err := list.set(id, token); err != nil {
			return err
		}
	}
	return nil
}

// inherit copies what a folder says of old to t, which has tokens added; text spells them.
func (t *Tokenizer) inherit(old *Tokenizer, added []addedToken, text []byte) {
	t.bos, t.eos, t.pad, t.names = old.bos, old.eos, old.pad, old.names
	for id, special := range old.special {
		t.special[id] = t.special[id] || special
	}
	t.files, t.sum, t.path, t.dir = old.Files(), old.sum, old.path, old.dir
	t.added = slices.Concat(old.added, added)
	t.digest("added tokens", text)
}
