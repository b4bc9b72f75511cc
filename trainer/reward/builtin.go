package reward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A builtin is a function of this package.
type builtin struct {
	name  string
	judge score
}

func (b *builtin) Name() string { return b.name }
func (b *builtin) Close() error { return nil } // nothing was begun

func (b *builtin) Score(_ context.Context, of []Completion) ([]float64, error) {
	all := make([]float64, len(of))
	for i := range of {
		var err error
		if all[i], err = b.judge(&of[i]); err != nil {
			return nil, fmt.Errorf("the reward %s: %w", b.name, err)
		}
	}
	return all, nil
}

func oneIf(right bool) float64 {
	if right {
		return 1
	}
	return 0
}

// exact gives 1 to completions that are the record's column, but for white space around
// both.
func exact(column string, _ Settings) (score, error) {
	column = orAnswer(column)
	return func(c *Completion) (float64, error) {
		want, ok, err := c.column(column)
		if err != nil || !ok {
			return math.NaN(), err
		}
		return oneIf(strings.TrimSpace(c.Text) == strings.TrimSpace(want)), nil
	}, nil
}

// lastNumber gives 1 to completions whose last number is the last of the record's column.
func lastNumber(column string, _ Settings) (score, error) {
	column = orAnswer(column)
	return func(c *Completion) (float64, error) {
		text, ok, err := c.column(column)
		if err != nil || !ok {
			return math.NaN(), err
		}
		want, ok := numberIn(text)
		if !ok {
			return 0, fmt.Errorf("the column %q of a record is %q, in which there is no number", column, cut(text))
		}
		got, ok := numberIn(c.Text)
		return oneIf(ok && got == want), nil
	}, nil
}

func orAnswer(column string) string {
	if column == "" {
		return "answer"
	}
	return column
}

// numbers are those in a text, with commas between thousands.
var numbers = regexp.MustCompile(`-?\d[\d,]*(?:\.\d+)?`)

func numberIn(text string) (float64, bool) {
	all := numbers.FindAllString(text, -1)
	if len(all) == 0 {
		return 0, false
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(all[len(all)-1], ",", ""), 64)
	return x, err == nil
}

// column returns a field of the record as a text; false if there is none, or null.
func (c *Completion) column(name string) (string, bool, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(c.Record, &fields); err != nil {
		return "", false, errors.New("a record is no JSON object")
	}
	raw, ok := fields[name]
	if !ok {
		return "", false, fmt.Errorf("a record has no column %q; name another one behind a colon", name)
	}
	if string(raw) == "null" {
		return "", false, nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true, nil
	}
	return string(raw), true, nil
}

// matches gives 1 to completions in which a regular expression matches.
func matches(pattern string, _ Settings) (score, error) {
	if pattern == "" {
		return nil, errors.New("it needs a pattern, as in regex:^yes")
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("the pattern is not a regular expression of Go: %w", err)
	}
	return func(c *Completion) (float64, error) { return oneIf(re.MatchString(c.Text)), nil }, nil
}

// tagged gives 1 to completions that are the given tags in order, each once, with only white
// space around and between them; by default to those that begin with <think>…</think>, TRL's
// think_format_reward.
func tagged(argument string, _ Settings) (score, error) {
	if argument == "" {
		return func(c *Completion) (float64, error) {
			rest, ok := strings.CutPrefix(c.Text, "<think>")
			return oneIf(ok && !strings.Contains(rest, "<think>") && strings.Contains(rest, "</think>")), nil
		}, nil
	}
	tags := strings.Split(argument, "+")
	for _, t := range tags {
		if !regexp.MustCompile(`^[\w-]+$`).MatchString(t) {
			return nil, fmt.Errorf("%q is not the name of a tag; write them as in format:think+answer", t)
		}
	}
	return func(c *Completion) (float64, error) {
		rest := strings.TrimSpace(c.Text)
		for _, t := range tags {
			body, ok := strings.CutPrefix(rest, "<"+t+">")
			if !ok || strings.Count(c.Text, "<"+t+">") != 1 || strings.Count(c.Text, "</"+t+">") != 1 {
				return 0, nil
			}
			_, rest, ok = strings.Cut(body, "</"+t+">")
			if !ok {
				return 0, nil
			}
			rest = strings.TrimSpace(rest)
		}
		return oneIf(rest == ""), nil
	}, nil
}

// cut returns the beginning of a text, for messages.
func cut(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
