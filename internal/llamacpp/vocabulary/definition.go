package vocabulary

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A source holds the keys of a tokenizer.json that decide how it is written.
type source struct {
	Normalizer   *component `json:"normalizer"`
	PreTokenizer *component `json:"pre_tokenizer"`
	Added        []added    `json:"added_tokens"`
	Model        struct {
		Type         string          `json:"type"`
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
		Unk          *string         `json:"unk_token"`
		UnkID        *uint32         `json:"unk_id"`
		ByteFallback bool            `json:"byte_fallback"`
		IgnoreMerges bool            `json:"ignore_merges"`
	} `json:"model"`
}

// A component is a normalizer or a pre-tokenizer.
type component struct {
	Type          string      `json:"type"`
	Normalizers   []component `json:"normalizers"`
	PreTokenizers []component `json:"pretokenizers"`
	Pattern       struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	} `json:"pattern"`
	Content          string `json:"content"`
	Prepend          string `json:"prepend"`
	StripLeft        *bool  `json:"strip_left"`
	StripRight       *bool  `json:"strip_right"`
	Charsmap         string `json:"precompiled_charsmap"`
	Behavior         string `json:"behavior"`
	Invert           bool   `json:"invert"`
	AddPrefixSpace   *bool  `json:"add_prefix_space"`
	UseRegex         *bool  `json:"use_regex"`
	Replacement      string `json:"replacement"`
	PrependScheme    string `json:"prepend_scheme"`
	IndividualDigits bool   `json:"individual_digits"`
}

// flat returns the steps of a Sequence, or the component itself.
func (c *component) flat() []component {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []component{*c}
	}
	var all []component
	for _, list := range [][]component{c.Normalizers, c.PreTokenizers} {
		for i := range list {
			all = append(all, list[i].flat()...)
		}
	}
	return all
}

// String returns the type with its pattern, for messages.
func (c *component) String() string {
	switch {
	case c.Pattern.Regex != nil:
		return fmt.Sprintf("%s of %.60q", c.Type, *c.Pattern.Regex)
	case c.Pattern.String != nil:
		return fmt.Sprintf("%s of %.60q", c.Type, *c.Pattern.String)
	}
	return c.Type
}

// isReplace reports whether the step replaces each space by U+2581.
func (c *component) isReplace() bool {
	return c.Type == "Replace" && c.Pattern.String != nil && *c.Pattern.String == " " && c.Content == spaceSign
}

// merges returns the pairs of a BPE model.
func (s *source) merges() ([][2]string, error) {
	if len(s.Model.Merges) == 0 {
		return nil, nil
	}
	var pairs [][2]string
	if json.Unmarshal(s.Model.Merges, &pairs) == nil {
		return pairs, nil
	}
	var lines []string
	if err := json.Unmarshal(s.Model.Merges, &lines); err != nil {
		return nil, fmt.Errorf("merges: %w", err)
	}
	pairs = nil
	for _, line := range lines {
		left, right, _ := strings.Cut(line, " ")
		pairs = append(pairs, [2]string{left, right})
	}
	return pairs, nil
}

// steps returns the pre-tokenizer in the terms of the table of rules; false if it has a step
// that the table has not.
func (s *source) steps() ([]step, bool) {
	var steps []step
	for _, c := range s.PreTokenizer.flat() {
		switch c.Type {
		case "Split":
			isolates := c.Behavior == "Isolated" && !c.Invert || c.Behavior == "Removed" && c.Invert
			if c.Pattern.Regex == nil || !isolates {
				return nil, false
			}
			switch pattern := plainPattern(*c.Pattern.Regex); pattern {
			case `\p{N}`:
				steps = append(steps, eachDigit)
			default:
				steps = append(steps, split(pattern))
			}
		case "Digits":
			steps = append(steps, step{kind: "Digits", single: c.IndividualDigits})
		case "Punctuation":
			if c.Behavior != "Contiguous" {
				return nil, false
			}
			steps = append(steps, step{kind: "Punctuation"})
		case "ByteLevel":
			if c.AddPrefixSpace == nil || *c.AddPrefixSpace {
				return nil, false
			}
			if c.UseRegex == nil || *c.UseRegex {
				steps = append(steps, gpt2Words)
			} else {
				steps = append(steps, bytesAfter)
			}
		default:
			return nil, false
		}
	}
	// A Split of GPT-2's pattern before the bytes is ByteLevel's own.
	if n := len(steps); n >= 2 && steps[n-2] == split(gpt2Pattern) && steps[n-1] == bytesAfter {
		steps = append(steps[:n-2], gpt2Words)
	}
	return steps, true
}

// plainPattern spells a pattern as the table of rules does.
func plainPattern(pattern string) string {
	if plain, ok := otherSpellings[pattern]; ok {
		return plain
	}
	pattern = strings.ReplaceAll(pattern, `(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`, contractions)
	return strings.ReplaceAll(pattern, `(?:'s|'t|'re|'ve|'m|'ll|'d)`, `'s|'t|'re|'ve|'m|'ll|'d`)
}

// otherSpellings are patterns of models' files that match what a pattern of the table matches.
var otherSpellings = map[string]string{
	" ?[^(\\s|[.,!?…。，、।۔،])]+": bloomPattern,
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`: bailingPattern,
	`(?=(\d{3})+(?!\d))`: superDigits,
	`\p{N}{1}`:           `\p{N}`,
}
