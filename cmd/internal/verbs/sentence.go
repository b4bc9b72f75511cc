package verbs

import (
	"errors"
	"regexp"
	"strings"
	"syscall"
	"unicode"

	"qlora/internal/diskfull"
)

// rewrites turn the words of Go's libraries into words about the file.
var rewrites = []struct {
	from *regexp.Regexp
	to   func(parts []string) string
}{
	{regexp.MustCompile(`json: cannot unmarshal (\w+)(?: [^ ]+)? into Go (?:struct field (\S*?)\.?([\w@]+)|value) of type (\S+)`), func(m []string) string {
		is, must := jsonNames[m[1]], goName(m[4])
		if is == "" {
			is = "a " + m[1]
		}
		if m[3] != "" {
			return m[3] + " is " + is + ", but it must be " + must
		}
		return "it is " + is + ", but it must be " + must
	}},
	{regexp.MustCompile(`strconv\.\w+: parsing ("(?:[^"\\]|\\.)*"): value out of range`), func(m []string) string { return m[1] + " is too large" }},
	{regexp.MustCompile(`strconv\.\w+: parsing ("(?:[^"\\]|\\.)*"): invalid syntax`), func(m []string) string { return m[1] + " is not a number" }},
	{
		regexp.MustCompile(`\b(?:open|stat|lstat|read|readlink|fdopendir|readdirent|getdents64) (/?[^:\n]+): (permission denied|no such file or directory|is a directory|not a directory|input/output error|too many levels of symbolic links|file name too long)`),
		func(m []string) string { return m[1] + ": " + m[2] },
	},
}

// jsonNames are the kinds of JSON's values as encoding/json names them.
var jsonNames = map[string]string{
	"number": "a number", "string": "a text", "bool": "true or false", "object": "an object", "array": "a list",
}

// goName returns what a JSON value must be to become a Go type.
func goName(name string) string {
	switch {
	case strings.HasPrefix(name, "[]"):
		return "a list"
	case name == "string":
		return "a text"
	case name == "bool":
		return "true or false"
	case strings.Contains(name, "float"):
		return "a number"
	case strings.HasPrefix(name, "int"), strings.HasPrefix(name, "uint"):
		return "a whole number in range"
	}
	return "an object"
}

// plain returns the cause of an error in a few words: that of the system, if it is one's.
func plain(err error) string {
	if number := syscall.Errno(0); errors.As(err, &number) {
		return number.Error()
	}
	return sentence(err)
}

// sentence returns the text of an error for people: without Go's types and calls, and
// without control characters, which would move the cursor.
func sentence(err error) string {
	text := err.Error()
	if full := (*diskfull.Error)(nil); errors.As(err, &full) {
		text = full.Error() // not how the error came about
	}
	for _, r := range rewrites {
		text = r.from.ReplaceAllStringFunc(text, func(match string) string { return r.to(r.from.FindStringSubmatch(match)) })
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return '\ufffd'
		}
		return r
	}, text)
}
