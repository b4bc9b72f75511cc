package tokenizer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A decoder rewrites a list of tokens towards text; it may change the list.
type decoder func(tokens []string) []string

// Decode returns the text of ids, without special tokens if skipSpecial is set. Ids outside the
// vocabulary are skipped; an incomplete character becomes U+FFFD.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		if !t.has(id) || skipSpecial && t.special[id] {
			continue
		}
		name, ok := t.spelled[id]
		if !ok {
			name = t.tokens[id]
		}
		tokens = append(tokens, name)
	}
	for _, f := range t.decoders {
		tokens = f(tokens)
	}
	return strings.Join(tokens, "")
}

func newDecoders(c *component) ([]decoder, error) {
	if c == nil {
		return []decoder{func(tokens []string) []string { return []string{strings.Join(tokens, " ")} }}, nil
	}
	steps, err := flatten(c, func(c *component) []component { return c.Decoders })
	if err != nil {
		return nil, err
	}
	var all []decoder
	growth := 1
	for _, step := range steps {
		if step.Type == "Replace" {
			if growth *= step.replaceGrowth(); growth > maxGrowth {
				return nil, fmt.Errorf("the steps may lengthen a text more than %d times", maxGrowth)
			}
		}
		d, err := newDecoder(step)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.Type, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func newDecoder(c *component) (decoder, error) {
	switch c.Type {
	case "ByteLevel":
		return fromAlphabet, nil
	case "ByteFallback":
		return joinBytes, nil
	case "Fuse":
		return func(tokens []string) []string { return []string{strings.Join(tokens, "")} }, nil
	case "Replace":
		match, err := c.Pattern.matcher()
		if err != nil {
			return nil, err
		}
		return each(func(_ int, s string) string { return piece{s: s}.replace(match, c.Content).s }), nil
	case "Strip":
		if c.Content == "" {
			return nil, errors.New("content is empty")
		}
		return each(func(_ int, s string) string {
			for range min(c.Start, len(s)) {
				s = strings.TrimPrefix(s, c.Content)
			}
			for range min(c.Stop, len(s)) {
				s = strings.TrimSuffix(s, c.Content)
			}
			return s
		}), nil
	case "Metaspace":
		if c.Replacement == "" {
			return nil, errors.New("replacement is empty")
		}
		never := metaspaceScheme(c) == "never"
		return each(func(i int, s string) string {
			if i == 0 && !never { // all of them, not only the one that was put in front
				return strings.ReplaceAll(s, c.Replacement, "")
			}
			return strings.ReplaceAll(s, c.Replacement, " ")
		}), nil
	}
	return nil, errors.New("this type is not supported")
}

func each(f func(int, string) string) decoder {
	return func(tokens []string) []string {
		for i := range tokens {
			tokens[i] = f(i, tokens[i])
		}
		return tokens
	}
}

// joinBytes joins runs of tokens like <0xE4> into characters. In a run that is not UTF-8 each
// byte becomes one U+FFFD.
func joinBytes(tokens []string) []string {
	out := make([]string, 0, len(tokens))
	var run []byte
	flush := func() {
		if utf8.Valid(run) {
			out = append(out, string(run))
		} else {
			out = append(out, strings.Repeat("\uFFFD", len(run)))
		}
		run = run[:0]
	}
	for _, s := range tokens {
		if b, ok := byteToken(s); ok {
			run = append(run, b)
			continue
		}
		if len(run) > 0 {
			flush()
		}
		out = append(out, s)
	}
	if len(run) > 0 {
		flush()
	}
	return out
}

func byteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(s[3:5], 16, 8)
	return byte(b), err == nil
}
