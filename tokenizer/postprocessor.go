package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A postProcessor adds tokens around a text and trims the offsets.
type postProcessor struct {
	prefix, suffix []int32
	trims          []trim
}

// A trim removes spaces from the offsets of byte-level tokens. With prefixSpace it does not
// count the space that the pre-tokenizer prepended to the text.
type trim struct{ prefixSpace bool }

func newPostProcessor(c *component, t *Tokenizer) (postProcessor, error) {
	var post postProcessor
	steps, err := flatten(c, func(c *component) []component { return c.Processors })
	if err != nil {
		return post, err
	}
	for _, step := range steps {
		switch step.Type {
		case "ByteLevel":
			if isTrue(step.TrimOffsets) {
				post.trims = append(post.trims, trim{isTrue(step.AddPrefixSpace)})
			}
		case "TemplateProcessing":
			if err := post.addTemplate(step, t); err != nil {
				return post, fmt.Errorf("TemplateProcessing: %w", err)
			}
		default:
			return post, fmt.Errorf("type %q is not supported", step.Type)
		}
	}
	return post, nil
}

// addTemplate reads the tokens before and after the text, "A", in the template for a single
// sequence.
func (post *postProcessor) addTemplate(c *component, t *Tokenizer) error {
	var around [2][]int32
	side := 0
	for _, part := range c.Single {
		switch {
		case part.SpecialToken != nil:
			special, ok := c.SpecialTokens[part.SpecialToken.ID]
			if !ok {
				return fmt.Errorf("token %q is not in special_tokens", part.SpecialToken.ID)
			}
			for _, id := range special.IDs {
				if !t.has(id) {
					return fmt.Errorf("token %q has the id %d; the vocabulary has %d", part.SpecialToken.ID, id, t.Size())
				}
			}
			around[side] = append(around[side], special.IDs...)
		case part.Sequence != nil && part.Sequence.ID == "A" && side == 0:
			side = 1
		default:
			return errors.New("single is not special tokens around one sequence A")
		}
	}
	if side == 0 {
		return errors.New("single has no sequence A")
	}
	post.prefix = slices.Concat(around[0], post.prefix)
	post.suffix = slices.Concat(post.suffix, around[1])
	return nil
}

// apply trims the span of a token in text; name is the text its bytes spell, and first marks
// the first token of the text.
func (tr trim) apply(text, name string, first bool, span Span) Span {
	isSpace := func(r rune) bool { return r == 'Ġ' || unicode.IsSpace(r) }
	count := utf8.RuneCountInString(name)
	leading := count - utf8.RuneCountInString(strings.TrimLeftFunc(name, isSpace))
	trailing := count - utf8.RuneCountInString(strings.TrimRightFunc(name, isSpace))
	if leading == 1 && tr.prefixSpace && (first || span.Start == 0) {
		leading = 0
	}
	for ; leading > 0 && span.Start < span.End; leading-- {
		span.Start += charLen(text[span.Start:])
	}
	end := span.End
	for ; trailing > 0 && end > 0; trailing-- {
		_, n := utf8.DecodeLastRuneInString(text[:end])
		end -= n
	}
	if trailing == 0 { // else the text does not have that many characters
		span.End = max(end, span.Start)
	}
	return span
}
