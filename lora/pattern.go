package lora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dlclark/regexp2/v2"

	"qlora/option"
)

// A Pattern gives some adapters their own number, as PEFT's rank_pattern and
// alpha_pattern do. The first entry whose key matches decides. A key is a regular
// expression that matches a module's name or its end after a dot.
type Pattern []PatternEntry

// A PatternEntry is one key of a Pattern and its number.
type PatternEntry struct {
	Key   string
	Value float64
}

// UnmarshalJSON reads an object whose values are numbers, in the order of the text.
// For a repeated key, the last value counts at the place of the first one, as in
// Python.
func (p *Pattern) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	first, err := d.Token()
	switch {
	case err != nil:
		return err
	case first == nil:
		return nil
	case first != json.Delim('{'):
		return errors.New(`not an object like {"q_proj": 8}`)
	}
	var all Pattern
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		e := PatternEntry{Key: key.(string)} // JSON keys are strings
		var value *float64
		if err := d.Decode(&value); err != nil {
			return fmt.Errorf("the value of %q is not a number", e.Key)
		}
		if value == nil {
			return fmt.Errorf("the value of %q is null, not a number", e.Key)
		}
		e.Value = *value
		if i := slices.IndexFunc(all, func(o PatternEntry) bool { return o.Key == e.Key }); i >= 0 {
			all[i] = e
		} else {
			all = append(all, e)
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	*p = all
	return nil
}

// MarshalJSON returns what UnmarshalJSON reads.
func (p Pattern) MarshalJSON() ([]byte, error) {
	b := bytes.NewBuffer([]byte{'{'})
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for i, entry := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(entry.Key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(entry.Value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalText reads the text of a JSON object; empty text is an empty pattern.
func (p *Pattern) UnmarshalText(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		*p = nil
		return nil
	}
	if !json.Valid(text) {
		return fmt.Errorf(`%q is not a JSON object like {"q_proj": 8}`, excerpt(text))
	}
	return p.UnmarshalJSON(text)
}

// MarshalText returns what UnmarshalText reads: the String.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String returns the pattern as JSON in one line, or "" if it is empty.
func (p Pattern) String() string {
	if len(p) == 0 {
		return ""
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err.Error() // a number that JSON cannot express
	}
	return string(text)
}

// checkRanks returns an error that names the first value that is not a rank.
func (p Pattern) checkRanks() error {
	for _, e := range p {
		if e.Value != math.Trunc(e.Value) || e.Value < 1 || e.Value > maxRank {
			return option.Errorf("rank_pattern", p, "%v for %q is not a rank: use a whole number from 1 to %d", e.Value, e.Key, maxRank)
		}
	}
	return nil
}

// numbers returns the numbers of a pattern by module, for modules that an entry
// matches. Without unused, every entry must decide for at least one module.
func (p Pattern) numbers(option string, modules []string, unused bool) (map[string]float64, error) {
	numbers := map[string]float64{}
	for _, e := range p {
		re, err := compile(option, e.Key, `\A(?:.*\.)?(?:`, `)\z`)
		if err != nil {
			return nil, err
		}
		decides, matches := false, false
		for _, name := range modules {
			ok, err := re.MatchString(name)
			if err != nil {
				return nil, tooLong(option, e.Key)
			}
			matches = matches || ok
			if _, taken := numbers[name]; ok && !taken {
				numbers[name], decides = e.Value, true
			}
		}
		switch {
		case decides, unused:
		case matches:
			return nil, fmt.Errorf("%s: %q has no effect, because entries before it match the same modules; put it first", option, e.Key)
		default:
			return nil, fmt.Errorf("%s: %q matches no module with an adapter; one of them is %s", option, e.Key, example(modules))
		}
	}
	return numbers, nil
}

// compile compiles a pattern in Python's syntax that must match between before and
// behind. The error names the option.
func compile(option, pattern, before, behind string) (*regexp2.Regexp, error) {
	// Compile the pattern alone first: its unbalanced parentheses must not pair with
	// ours.
	_, err := regexp2.Compile(pattern, regexp2.RE2)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not a regular expression: %w", option, pattern, err)
	}
	re, err := regexp2.Compile(before+pattern+behind, regexp2.RE2)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not a regular expression: %w", option, pattern, err)
	}
	re.MatchTimeout = matchTimeout
	return re, nil
}

func tooLong(option, pattern string) error {
	return fmt.Errorf("%s: matching %q takes too long; write it without nested repetition", option, pattern)
}
