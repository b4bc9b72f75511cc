package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer rewrites a piece of text before pre-tokenization.
type normalizer []func(piece) piece

// maxGrowth bounds the factor by which a text may grow.
const maxGrowth = 1 << 12

func newNormalizer(c *component) (normalizer, error) {
	steps, err := flatten(c, func(c *component) []component { return c.Normalizers })
	if err != nil {
		return nil, err
	}
	var n normalizer
	growth := 1
	for _, step := range steps {
		f, g, err := newNormalizerStep(step)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.Type, err)
		}
		if growth *= g; growth > maxGrowth {
			return nil, fmt.Errorf("the steps may lengthen a text more than %d times", maxGrowth)
		}
		n = append(n, f)
	}
	return n, nil
}

func (t *Tokenizer) normalize(p piece) piece {
	for _, f := range t.normalizer {
		p = f(p)
	}
	return p
}

// newNormalizerStep returns a step and the factor by which it may lengthen the text.
func newNormalizerStep(c *component) (step func(piece) piece, growth int, err error) {
	switch c.Type {
	case "Prepend":
		return func(p piece) piece {
			if p.s == "" {
				return p
			}
			return p.prepend(c.Prepend)
		}, 1 + len(c.Prepend)/64, nil
	case "Replace":
		match, err := c.Pattern.matcher()
		if err != nil {
			return nil, 0, err
		}
		return func(p piece) piece { return p.replace(match, c.Content) }, c.replaceGrowth(), nil
	case "NFC":
		return canonical(norm.NFC, true), 3, nil
	case "NFD":
		return canonical(norm.NFD, false), 4, nil
	case "NFKC":
		return canonical(norm.NFKC, true), 11, nil
	case "NFKD":
		return canonical(norm.NFKD, false), 11, nil
	case "Lowercase":
		return lowercase, 2, nil
	case "Strip":
		return func(p piece) piece { return strip(p, c.StripLeft, c.StripRight) }, 1, nil
	case "Precompiled":
		if c.Charsmap == nil {
			return nil, 0, errors.New("precompiled_charsmap is missing")
		}
		m, err := decodeCharsmap(*c.Charsmap)
		if err != nil {
			return nil, 0, fmt.Errorf("precompiled_charsmap: %w", err)
		}
		return m.normalize, max(1, m.longest), nil
	}
	return nil, 0, errors.New("this type is not supported")
}

// replaceGrowth returns the factor by which a Replace may lengthen a text.
func (c *component) replaceGrowth() int {
	shortest := 1
	if c.Pattern != nil && c.Pattern.String != nil {
		shortest = max(1, len(*c.Pattern.String))
	}
	return 1 + max(0, len(c.Content)-1)/shortest
}

// lowercase lowers each letter without context, as Rust's char::to_lowercase: İ is the one
// letter that becomes two.
func lowercase(p piece) piece {
	changes := make([]change, 0, len(p.s))
	for _, r := range p.s {
		if r == 'İ' {
			changes = append(changes, change{'i', 0}, change{'\u0307', 1})
			continue
		}
		changes = append(changes, change{unicode.ToLower(r), 0})
	}
	return p.transform(changes, 0)
}

func strip(p piece, left, right bool) piece {
	lo, hi := 0, len(p.s)
	if left {
		lo = hi - len(strings.TrimLeftFunc(p.s, unicode.IsSpace))
	}
	if right {
		hi = max(lo, len(strings.TrimRightFunc(p.s, unicode.IsSpace)))
	}
	q := p.slice(lo, hi)
	q.start = p.start
	return q
}

// canonical returns a step that applies a Unicode normal form. It decomposes and composes
// character by character, as Hugging Face does: x/text inserts joiners into long runs of marks
// and does not map new characters to old ones.
func canonical(form norm.Form, compose bool) func(piece) piece {
	return func(p piece) piece {
		if form.IsNormalString(p.s) || !utf8.ValidString(p.s) {
			return p
		}
		changes := decompose(form, p.s)
		if compose {
			changes = recompose(changes)
		}
		return p.transform(changes, 0)
	}
}
