package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// A matcher yields the matches in s from left to right. No match is empty.
type matcher func(s string, yield func(lo, hi int))

// matchTimeout bounds one call of a pattern. Real tokenizers need microseconds a match; only a
// pattern built to backtrack without end reaches it.
const matchTimeout = 5 * time.Second

// matcher compiles the pattern of a Split or Replace.
func (p *pattern) matcher() (matcher, error) {
	switch {
	case p == nil || p.String == nil && p.Regex == nil:
		return nil, errors.New("pattern is missing; it is {\"String\": …} or {\"Regex\": …}")
	case p.Regex != nil:
		return regexMatcher(*p.Regex, matchTimeout)
	case *p.String == "":
		return nil, errors.New("pattern is an empty string")
	}
	return literalMatcher(*p.String), nil
}

// regexMatcher matches a regular expression. A text that exceeds the time limit has no match.
func regexMatcher(expression string, limit time.Duration) (matcher, error) {
	re, err := regexp2.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", expression, err)
	}
	re.MatchTimeout = limit
	return func(s string, yield func(lo, hi int)) {
		found, err := re.FindAllStringIndex(s, -1)
		if err != nil {
			return
		}
		for _, m := range found {
			if m[0] < m[1] {
				yield(m[0], m[1])
			}
		}
	}, nil
}

func literalMatcher(literal string) matcher {
	return func(s string, yield func(lo, hi int)) {
		for i := 0; ; {
			j := strings.Index(s[i:], literal)
			if j < 0 {
				return
			}
			yield(i+j, i+j+len(literal))
			i += j + len(literal)
		}
	}
}

func runeMatcher(is func(rune) bool) matcher {
	return func(s string, yield func(lo, hi int)) {
		for i := 0; i < len(s); {
			r, n := utf8.DecodeRuneInString(s[i:])
			if is(r) {
				yield(i, i+n)
			}
			i += n
		}
	}
}
