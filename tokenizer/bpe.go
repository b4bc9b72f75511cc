package tokenizer

import (
	"errors"
	"fmt"
	"maps"
)

// bpe merges neighbouring tokens, the pair listed first in the file first (Sennrich et al.
// 2016, https://arxiv.org/abs/1508.07909).
type bpe struct {
	ids          map[string]int32
	merges       map[pair]merge
	bytes        *byteTable // nil: no byte fallback
	unk          int32      // -1: a character without a token is left out
	fuseUnk      bool
	ignoreMerges bool
	symbols      map[string]int32 // words that do not merge
}

type pair struct{ left, right int32 }

type merge struct {
	rank int32 // in the file's list
	id   int32 // of the merged token
}

func newBPE(m *modelFile) (model, map[string]int32, error) {
	if m.Dropout != nil && *m.Dropout != 0 {
		return nil, nil, errors.New("dropout is not supported")
	}
	if m.WordPrefix != nil && *m.WordPrefix != "" || m.WordSuffix != nil && *m.WordSuffix != "" {
		return nil, nil, errors.New("continuing_subword_prefix and end_of_word_suffix are not supported")
	}
	ids, err := readBPEVocab(m.Vocab)
	if err != nil {
		return nil, nil, err
	}
	b := &bpe{ids: ids, unk: -1, fuseUnk: m.FuseUnk, ignoreMerges: m.IgnoreMerges}
	if b.merges, err = newMerges(m, ids); err != nil {
		return nil, nil, err
	}
	if m.ByteFallback {
		b.bytes = newByteTable(ids)
	}
	if m.UnkToken != nil {
		id, ok := ids[*m.UnkToken]
		if !ok {
			return nil, nil, fmt.Errorf("unk_token %q is not in vocab", *m.UnkToken)
		}
		b.unk = id
	}
	// Added tokens go into a separate map: a word must not become one.
	all := make(map[string]int32, len(ids))
	maps.Copy(all, ids)
	return b, all, nil
}

func newMerges(m *modelFile, ids map[string]int32) (map[pair]merge, error) {
	list, err := readMerges(m.Merges)
	if err != nil {
		return nil, err
	}
	merges := make(map[pair]merge, len(list))
	for i, p := range list {
		id := func(name string) int32 {
			id, ok := ids[name]
			if !ok && err == nil {
				err = fmt.Errorf("merges: entry %d, %q and %q: token %q is not in vocab", i, p[0], p[1], name)
			}
			return id
		}
		merges[pair{id(p[0]), id(p[1])}] = merge{int32(i), id(p[0] + p[1])}
		if err != nil {
			return nil, err
		}
	}
	return merges, nil
}

func (b *bpe) whole(word string) (int32, bool) {
	if id, ok := b.symbols[word]; ok {
		return id, true
	}
	if !b.ignoreMerges {
		return 0, false
	}
	id, ok := b.ids[word]
	return id, ok
}

func (b *bpe) tokenize(dst []token, word string) []token {
	var buffer [64]symbol
	symbols := b.spell(buffer[:0], word)
	if len(symbols) < shortWord {
		symbols = b.mergeShort(symbols)
	} else {
		symbols = b.mergeLong(symbols)
	}
	end := int32(0)
	for _, s := range symbols {
		end += s.bytes
		dst = append(dst, token{s.id, end})
	}
	return dst
}

// A symbol is a token of a word that may still be merged with its neighbours.
type symbol struct {
	id    int32
	bytes int32 // of the word
}

// spell appends the tokens of the word's single characters. A character without a token is
// spelled in bytes, or else becomes the unknown token, which, as in Hugging Face's library,
// waits for the next character that has a token.
func (b *bpe) spell(symbols []symbol, word string) []symbol {
	unknown := symbol{b.unk, 0}
	for len(word) > 0 {
		n := charLen(word)
		c := word[:n]
		word = word[n:]
		if id, ok := b.ids[c]; ok {
			if unknown.bytes > 0 {
				symbols = append(symbols, unknown)
				unknown.bytes = 0
			}
			symbols = append(symbols, symbol{id, int32(n)})
			continue
		}
		if b.bytes != nil && b.bytes.has(c) {
			for i := range n {
				symbols = append(symbols, symbol{b.bytes[c[i]], 1})
			}
			continue
		}
		if b.unk < 0 {
			continue
		}
		if unknown.bytes > 0 && !b.fuseUnk {
			symbols = append(symbols, unknown)
			unknown.bytes = 0
		}
		unknown.bytes += int32(n)
	}
	if unknown.bytes > 0 {
		symbols = append(symbols, unknown)
	}
	return symbols
}
