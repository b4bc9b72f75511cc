package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// A byteTable holds the ids of the tokens "<0x00>" to "<0xFF>", -1 for none.
type byteTable [256]int32

func newByteTable(ids map[string]int32) *byteTable {
	var t byteTable
	for b := range t {
		t[b] = -1
		if id, ok := ids[fmt.Sprintf("<0x%02X>", b)]; ok {
			t[b] = id
		}
	}
	return &t
}

// has reports whether all bytes of s have a token.
func (t *byteTable) has(s string) bool {
	for i := range len(s) {
		if t[s[i]] < 0 {
			return false
		}
	}
	return true
}

func readBPEVocab(raw json.RawMessage) (map[string]int32, error) {
	var ids map[string]int32
	if err := json.Unmarshal(raw, &ids); err != nil {
		return nil, fmt.Errorf("vocab: %w", err)
	}
	if len(ids) == 0 {
		return nil, errors.New("vocab is empty")
	}
	for name, id := range ids {
		if id < 0 {
			return nil, fmt.Errorf("vocab: token %q has the id %d", name, id)
		}
	}
	return ids, nil
}

// readMerges reads pairs of tokens, ["a", "b"] or "a b", highest priority first.
func readMerges(raw json.RawMessage) ([][2]string, error) {
	var pairs [][2]string
	if json.Unmarshal(raw, &pairs) == nil {
		return pairs, nil
	}
	var lines []string
	if err := json.Unmarshal(raw, &lines); err != nil {
		return nil, fmt.Errorf("merges: neither pairs of tokens nor lines: %w", err)
	}
	pairs = make([][2]string, len(lines))
	for i, line := range lines {
		a, b, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(b, " ") {
			return nil, fmt.Errorf("merges: entry %d, %q, is not two tokens with a space between them", i, line)
		}
		pairs[i] = [2]string{a, b}
	}
	return pairs, nil
}

// A scoredPiece is an entry of Unigram's vocabulary: ["▁the", -3.2].
type scoredPiece struct {
	name  string
	score float64
}

func (p *scoredPiece) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("an entry has %d parts, not a token and a score", len(pair))
	}
	if err := json.Unmarshal(pair[0], &p.name); err != nil {
		return err
	}
	return json.Unmarshal(pair[1], &p.score)
}

func readUnigramVocab(raw json.RawMessage) ([]scoredPiece, map[string]int32, error) {
	var pieces []scoredPiece
	if err := json.Unmarshal(raw, &pieces); err != nil {
		return nil, nil, fmt.Errorf("vocab: %w", err)
	}
	if len(pieces) == 0 || len(pieces) > math.MaxInt32 {
		return nil, nil, fmt.Errorf("vocab has %d tokens", len(pieces))
	}
	ids := make(map[string]int32, len(pieces))
	for i, p := range pieces {
		ids[p.name] = int32(i)
	}
	return pieces, ids, nil
}

// charLen returns the length of the first character of s in bytes.
func charLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}
