package options

import (
	"regexp"
	"strings"
)

// bracketed returns the elements of a list as Python and JSON write it, ["a", 'b'], and as
// alpaca-lora's users do, [a,b]; ok is false for any other text. An element without quotes
// is a plain word; literal texts, such as the token [PAD], must have them.
func bracketed(text string, literal bool) (elements []string, ok bool) {
	inner, opens := strings.CutPrefix(strings.TrimSpace(text), "[")
	inner, closes := strings.CutSuffix(inner, "]")
	if !opens || !closes {
		return nil, false
	}
	element := bare
	if literal {
		element = quoted
	}
	for rest := strings.TrimSpace(inner); rest != ""; {
		m := element.FindStringSubmatch(rest)
		if m == nil {
			return nil, false
		}
		elements = append(elements, m[1]+m[2]+m[3])
		rest = rest[len(m[0]):]
	}
	return elements, len(elements) > 0 || !literal
}

// quoted and bare match the first element of a list, with the comma after it.
var (
	quoted = regexp.MustCompile(`^(?:"([^"\\]*)"|'([^'\\]*)'())\s*(?:,\s*|$)`)
	bare   = regexp.MustCompile(`^(?:"([^"\\]*)"|'([^'\\]*)'|([\w.*-]+))\s*(?:,\s*|$)`)
)
