package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A preTokenizer cuts a piece into words, which the next one cuts further.
type preTokenizer func(p piece, yield func(piece))

func newPreTokenizers(c *component) ([]preTokenizer, error) {
	steps, err := flatten(c, func(c *component) []component { return c.PreTokenizers })
	if err != nil {
		return nil, err
	}
	var all []preTokenizer
	spelled := false // in the alphabet; again, each time would double the text
	for _, step := range steps {
		if step.Type == "ByteLevel" && spelled {
			return nil, errors.New("ByteLevel occurs twice")
		}
		spelled = spelled || step.Type == "ByteLevel"
		more, err := newPreTokenizer(step)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.Type, err)
		}
		all = append(all, more...)
	}
	return all, nil
}

func newPreTokenizer(c *component) ([]preTokenizer, error) {
	one := func(p preTokenizer, err error) ([]preTokenizer, error) { return []preTokenizer{p}, err }
	switch c.Type {
	case "Split":
		match, err := c.Pattern.matcher()
		if err != nil {
			return nil, err
		}
		return one(split(match, c.Behavior, c.Invert))
	case "Digits":
		if c.IndividualDigits {
			return one(split(runeMatcher(unicode.IsNumber), "Isolated", false))
		}
		return one(split(runeMatcher(unicode.IsNumber), "Contiguous", false))
	case "Punctuation":
		behavior := c.Behavior
		if behavior == "" {
			behavior = "Isolated"
		}
		return one(split(runeMatcher(isPunctuation), behavior, false))
	case "WhitespaceSplit":
		return one(split(runeMatcher(unicode.IsSpace), "Removed", false))
	case "ByteLevel":
		return newByteLevel(c)
	case "Metaspace":
		return newMetaspace(c)
	}
	return nil, errors.New("this type is not supported")
}

// isPunctuation reports whether r is punctuation; ASCII symbols count as such.
func isPunctuation(r rune) bool {
	return unicode.IsPunct(r) || r < 0x80 && unicode.IsSymbol(r)
}

func newByteLevel(c *component) ([]preTokenizer, error) {
	var steps []preTokenizer
	if isTrue(c.AddPrefixSpace) {
		steps = append(steps, func(p piece, yield func(piece)) {
			if !strings.HasPrefix(p.s, " ") {
				p = p.prepend(" ")
			}
			yield(p)
		})
	}
	if isTrue(c.UseRegex) {
		match, err := regexMatcher(gpt2Pattern, matchTimeout)
		if err != nil {
			return nil, err
		}
		words, err := split(match, "Isolated", false)
		if err != nil {
			return nil, err
		}
		steps = append(steps, words)
	}
	return append(steps, toAlphabet), nil
}

// metaspaceScheme returns where Metaspace prepends a space: "always", "first" (only at the
// beginning of the text) or "never".
func metaspaceScheme(c *component) string {
	switch {
	case !isTrue(c.AddPrefixSpace): // how older files say never
		return "never"
	case c.PrependScheme == "":
		return "always"
	}
	return c.PrependScheme
}

// prependsFirst reports whether the words depend on where a piece begins.
func prependsFirst(c *component) bool {
	steps, err := flatten(c, func(c *component) []component { return c.PreTokenizers })
	for _, step := range steps {
		if step.Type == "Metaspace" && metaspaceScheme(step) == "first" {
			return true
		}
	}
	return err != nil
}

func newMetaspace(c *component) ([]preTokenizer, error) {
	if utf8.RuneCountInString(c.Replacement) != 1 {
		return nil, fmt.Errorf("replacement %q is not one character", c.Replacement)
	}
	scheme := metaspaceScheme(c)
	if scheme != "always" && scheme != "first" && scheme != "never" {
		return nil, fmt.Errorf("prepend_scheme %q is unknown", scheme)
	}
	space := literalMatcher(" ")
	steps := []preTokenizer{func(p piece, yield func(piece)) {
		p = p.replace(space, c.Replacement)
		if (scheme == "always" || scheme == "first" && p.start == 0) && !strings.HasPrefix(p.s, c.Replacement) {
			p = p.prepend(c.Replacement)
		}
		yield(p)
	}}
	if isTrue(c.Split) {
		words, err := split(literalMatcher(c.Replacement), "MergedWithNext", false)
		if err != nil {
			return nil, err
		}
		steps = append(steps, words)
	}
	return steps, nil
}
