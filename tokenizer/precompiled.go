package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// A charsmap is sentencepiece's table of replacements: a double-array trie
// (https://github.com/s-yata/darts-clone) whose values are offsets in a list of zero-terminated
// strings.
type charsmap struct {
	trie    []uint32
	strings []byte
	longest int // string, in bytes
}

func decodeCharsmap(encoded string) (*charsmap, error) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	return newCharsmap(raw)
}

func newCharsmap(raw []byte) (*charsmap, error) {
	if len(raw) == 0 {
		return &charsmap{}, nil
	}
	if len(raw) < 4 {
		return nil, errors.New("header is missing")
	}
	n := int64(binary.LittleEndian.Uint32(raw))
	raw = raw[4:]
	if n%4 != 0 || n == 0 || n > int64(len(raw)) {
		return nil, errors.New("the trie's length does not match its bytes")
	}
	m := &charsmap{trie: make([]uint32, n/4), strings: raw[n:]}
	for i := range m.trie {
		m.trie[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	if !utf8.Valid(m.strings) {
		return nil, errors.New("a replacement is not UTF-8")
	}
	if len(m.strings) > 0 && m.strings[len(m.strings)-1] != 0 {
		return nil, errors.New("the last replacement has no end")
	}
	for s := range bytes.SplitSeq(m.strings, []byte{0}) {
		m.longest = max(m.longest, len(s))
	}
	return m, nil
}

// lookup returns the replacement of the shortest prefix of key that has one. Hugging Face's
// library applies it to the whole key, and so does lookup.
func (m *charsmap) lookup(key string) (string, bool) {
	key, _, _ = strings.Cut(key, "\x00")
	to, size := m.prefix(key, false)
	return to, size > 0
}

// longestPrefix returns the replacement of the longest prefix of s that has one, and the
// prefix's length in bytes, 0 for none.
func (m *charsmap) longestPrefix(s string) (string, int) { return m.prefix(s, true) }

func (m *charsmap) prefix(s string, longest bool) (to string, size int) {
	if len(m.trie) == 0 {
		return "", 0
	}
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	value := -1
	at := offset(m.trie[0])
	for i := range len(s) {
		b := uint32(s[i])
		if at ^= b; int(at) >= len(m.trie) {
			break
		}
		unit := m.trie[at]
		if unit&(1<<31|0xff) != b {
			break
		}
		if at ^= offset(unit); int(at) >= len(m.trie) {
			break
		}
		if unit>>8&1 == 1 {
			value, size = int(m.trie[at]&(1<<31-1)), i+1
			if !longest {
				break
			}
		}
	}
	if value < 0 || value >= len(m.strings) {
		return "", 0
	}
	end := bytes.IndexByte(m.strings[value:], 0)
	return string(m.strings[value : value+end]), size
}

// normalize replaces whole graphemes shorter than 6 bytes, and otherwise single characters.
func (m *charsmap) normalize(p piece) piece {
	changes := make([]change, 0, len(p.s))
	modified := false
	state := -1
	for rest := p.s; rest != ""; {
		var grapheme string
		grapheme, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if len(grapheme) < 6 {
			if s, ok := m.lookup(grapheme); ok {
				changes, modified = exchange(changes, grapheme, s), true
				continue
			}
		}
		for _, r := range grapheme {
			if s, ok := m.lookup(string(r)); ok {
				changes, modified = exchange(changes, string(r), s), true
			} else {
				changes = append(changes, change{r, 0})
			}
		}
	}
	if !modified {
		return p
	}
	return p.transform(changes, 0)
}

// exchange appends changes that replace the characters of old by those of s. Where s is
// shorter, the character before the gap drops the surplus, even if it does not belong to s.
func exchange(changes []change, old, s string) []change {
	for _, r := range s {
		changes = append(changes, change{r, 0})
	}
	switch more := utf8.RuneCountInString(s) - utf8.RuneCountInString(old); {
	case more > 0:
		for i := range more {
			changes[len(changes)-1-i].delta = 1
		}
	case more < 0 && len(changes) > 0:
		changes[len(changes)-1].delta += more
	}
	return changes
}
