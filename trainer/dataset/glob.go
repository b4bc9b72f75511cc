package dataset

import (
	"fmt"
	"regexp"
	"strings"
)

// globPattern returns an expression of the paths with slashes that a pattern of the Hub
// matches: ** for any folders, * and ? within a name, and sets such as [0-9].
func globPattern(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("^")
	for rest := strings.TrimPrefix(glob, "./"); rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString("(?:.*/)?")
			rest = rest[3:]
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			rest = rest[2:]
		case rest[0] == '*':
			b.WriteString("[^/]*")
			rest = rest[1:]
		case rest[0] == '?':
			b.WriteString("[^/]")
			rest = rest[1:]
		case rest[0] == '[' && strings.Contains(rest[1:], "]"):
			set, after, _ := strings.Cut(rest[1:], "]")
			if not, ok := strings.CutPrefix(set, "!"); ok {
				set = "^" + not
			}
			b.WriteString("[" + strings.ReplaceAll(set, `\`, `\\`) + "]")
			rest = after
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
			rest = rest[1:]
		}
	}
	match, err := regexp.Compile(b.String() + "$")
	if err != nil {
		return nil, fmt.Errorf("the pattern %q cannot be read", glob)
	}
	return match, nil
}
