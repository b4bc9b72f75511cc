// Package bpe trains a small byte-level BPE vocabulary and writes it as a Hugging Face tokenizer.json.
//
// It implements the basic algorithm of Sennrich et al. (2016) on GPT-2's byte alphabet, for corpora of a few megabytes: it counts pairs over distinct words
// and rescans them for every merge.
package bpe

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Special tokens of the vocabulary, at ids 0 and 1.
const (
	BOS = "<s>"
	EOS = "</s>"
)

// Vocabulary is a trained tokenizer: tokens by id, and merges in the order of training.
type Vocabulary struct {
	Tokens []string
	Merges [][2]string
}

// words cuts text as GPT-2's ByteLevel pre-tokenizer does, for ASCII (its look-ahead for runs of spaces does not matter to text without them).
var words = regexp.MustCompile(`'(?:[sdmt]|ll|ve|re)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+`)

// Train learns size tokens (two special ones, the 256 bytes, then merges) from ASCII texts. It stops early when no pair occurs twice.
// Of equally frequent pairs it merges the one whose text sorts first, so the result depends only on the texts.
func Train(texts []string, size int) (*Vocabulary, error) {
	alphabet := byteAlphabet()
	v := &Vocabulary{Tokens: []string{BOS, EOS}}
	v.Tokens = append(v.Tokens, slices.Sorted(slices.Values(alphabet[:]))...)
	if size < len(v.Tokens) {
		return nil, fmt.Errorf("a byte-level vocabulary has at least %d tokens, %d were asked for", len(v.Tokens), size)
	}
	counts := make(map[string]int)
	for _, text := range texts {
		for _, word := range words.FindAllString(text, -1) {
			counts[word]++
		}
	}
	type entry struct {
		pieces []string
		count  int
	}
	var entries []entry
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		var pieces []string
		for _, b := range []byte(word) {
			pieces = append(pieces, alphabet[b])
		}
		entries = append(entries, entry{pieces, counts[word]})
	}
	for len(v.Tokens) < size {
		pairs := make(map[[2]string]int)
		for _, e := range entries {
			for i := range len(e.pieces) - 1 {
				pairs[[2]string{e.pieces[i], e.pieces[i+1]}] += e.count
			}
		}
		best, ok := mostFrequent(pairs)
		if !ok {
			break
		}
		for i := range entries {
			entries[i].pieces = merge(entries[i].pieces, best)
		}
		v.Merges = append(v.Merges, best)
		v.Tokens = append(v.Tokens, best[0]+best[1])
	}
	return v, nil
}

// mostFrequent returns the pair with the highest count, at least 2; ties go to the smaller text.
func mostFrequent(pairs map[[2]string]int) (best [2]string, ok bool) {
	most := 1
	for pair, n := range pairs {
		if n > most || n == most && ok && slices.CompareFunc(pair[:], best[:], cmp.Compare[string]) < 0 {
			best, most, ok = pair, n, true
		}
	}
	return best, ok
}

// merge joins every occurrence of the pair, from the left, in place.
func merge(pieces []string, pair [2]string) []string {
	out := pieces[:0]
	for i := 0; i < len(pieces); i++ {
		if i+1 < len(pieces) && pieces[i] == pair[0] && pieces[i+1] == pair[1] {
			out = append(out, pair[0]+pair[1])
			i++
		} else {
			out = append(out, pieces[i])
		}
	}
	return out
}

// byteAlphabet returns GPT-2's printable character for every byte: Latin-1's if it is printable, else the next free one from U+0100.
func byteAlphabet() [256]string {
	var alphabet [256]string
	next := rune(0x100)
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			alphabet[b] = string(rune(b))
		} else {
			alphabet[b] = string(next)
			next++
		}
	}
	return alphabet
}
