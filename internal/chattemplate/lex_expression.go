package chattemplate

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// operators lists the operators, longer ones first.
var operators = []string{
	"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "*", "/", "%", "~", "[", "]", "(", ")", "{", "}", "|", ",", ":", ".", "=", "<", ">", ";",
}

// inside reads a tag's expression up to its end. The end is not recognized inside
// brackets.
func (x *lexer) inside(end string, k kind) {
	depth := 0
	for {
		blank := len(x.rest) - len(strings.TrimLeftFunc(x.rest, isSpace))
		x.skip(blank)
		if x.rest == "" {
			fail("a tag is not closed with %s", end)
		}
		if depth == 0 && x.end(end, k) {
			return
		}
		switch c := x.rest[0]; {
		case c == '"' || c == '\'':
			x.quoted(c)
		case c >= '0' && c <= '9':
			x.number()
		default:
			if n := nameLength(x.rest); n > 0 {
				x.emit(word, x.rest[:n])
				x.skip(n)
				continue
			}
			depth += x.operator()
			if depth < 0 {
				fail("unmatched closing bracket")
			}
		}
	}
}

// end reads the tag's end if it is next.
func (x *lexer) end(end string, k kind) bool {
	for _, control := range []byte{'-', '+', 0} {
		sign := strings.TrimRight(string(control), "\x00")
		if control == '+' && k == closeValue || !strings.HasPrefix(x.rest, sign+end) {
			continue
		}
		x.emit(k, "")
		x.skip(len(sign) + len(end))
		x.closed(control, k == closeBlock)
		return true
	}
	return false
}

// operator reads one operator and returns by how much it changes the bracket depth.
func (x *lexer) operator() int {
	for _, o := range operators {
		if !strings.HasPrefix(x.rest, o) {
			continue
		}
		x.emit(operator, o)
		x.skip(len(o))
		switch o {
		case "(", "[", "{":
			return 1
		case ")", "]", "}":
			return -1
		}
		return 0
	}
	r, _ := utf8.DecodeRuneInString(x.rest)
	fail("unexpected character %q", r)
	return 0
}

// nameLength returns the length in bytes of the identifier at the start of s.
func nameLength(s string) int {
	for i, r := range s {
		letter := r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r)
		if !letter && (i == 0 || !unicode.IsDigit(r) && !unicode.IsMark(r)) {
			return i
		}
	}
	return len(s)
}

// number reads a number: integers in any of Python's bases, decimals with a fraction or
// an exponent.
func (x *lexer) number() {
	n := digits(x.rest, 0)
	if len(x.rest) > 1 && x.rest[0] == '0' && strings.ContainsRune("xXoObB", rune(x.rest[1])) {
		n = 2
		for n < len(x.rest) && (isHex(x.rest[n]) || x.rest[n] == '_') {
			n++
		}
		x.emit(whole, x.rest[:n])
		x.skip(n)
		return
	}
	k := whole
	if n+1 < len(x.rest) && x.rest[n] == '.' && isDigit(x.rest[n+1]) {
		k, n = decimal, digits(x.rest, n+1)
	}
	if n < len(x.rest) && (x.rest[n] == 'e' || x.rest[n] == 'E') {
		at := n + 1
		if at < len(x.rest) && (x.rest[at] == '-' || x.rest[at] == '+') {
			at++
		}
		if at < len(x.rest) && isDigit(x.rest[at]) {
			k, n = decimal, digits(x.rest, at)
		}
	}
	x.emit(k, strings.ReplaceAll(x.rest[:n], "_", ""))
	x.skip(n)
}

func digits(s string, from int) int {
	for from < len(s) && (isDigit(s[from]) || s[from] == '_') {
		from++
	}
	return from
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// escapes holds Python's one-letter escapes.
var escapes = map[byte]string{
	'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f", 'v': "\v", 'a': "\a", '\\': "\\", '\'': "'", '"': `"`, '\n': "",
}

// quoted reads a text in quotes.
func (x *lexer) quoted(quote byte) {
	var b strings.Builder
	n := 1
	for ; n < len(x.rest) && x.rest[n] != quote; n++ {
		if x.rest[n] != '\\' {
			b.WriteByte(x.rest[n])
			continue
		}
		used, text := escape(x.rest[n+1:])
		b.WriteString(text)
		n += used
	}
	if n >= len(x.rest) {
		fail("a text in quotes is not closed with %c", quote)
	}
	x.emit(quoted, b.String())
	x.skip(n + 1)
}

// escape decodes the escape after a backslash: its length in bytes and its text.
func escape(s string) (n int, text string) {
	if s == "" {
		return 0, `\`
	}
	if text, ok := escapes[s[0]]; ok {
		return 1, text
	}
	if width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[0]]; width > 0 {
		if len(s) <= width {
			fail("the escape \\%c needs %d hexadecimal digits", s[0], width)
		}
		code, err := strconv.ParseUint(s[1:1+width], 16, 32)
		if err != nil || code > unicode.MaxRune {
			fail("the escape \\%s is not a character", s[:1+width])
		}
		return 1 + width, string(rune(code))
	}
	octal := 0
	for octal < min(3, len(s)) && s[octal] >= '0' && s[octal] <= '7' {
		octal++
	}
	if octal > 0 {
		code, _ := strconv.ParseUint(s[:octal], 8, 32)
		return octal, string(rune(code))
	}
	_, width := utf8.DecodeRuneInString(s)
	return width, `\` + s[:width]
}
