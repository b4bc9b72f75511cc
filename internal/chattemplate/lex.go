package chattemplate

import (
	"strings"
	"unicode"
)

// kind is the type of a token.
type kind int

const (
	endOfSource kind = iota
	data             // text outside of tags
	openValue        // {{
	closeValue       // }}
	openBlock        // {%
	closeBlock       // %}
	word
	quoted
	whole
	decimal
	operator
)

var kindNames = map[kind]string{
	endOfSource: "the end of the template", closeValue: "}}", closeBlock: "%}", openValue: "{{", openBlock: "{%",
}

type token struct {
	kind kind
	text string // a quoted text without quotes, with its escapes resolved
	line int
}

// String returns the token as errors show it.
func (t token) String() string {
	if name, ok := kindNames[t.kind]; ok {
		return name
	}
	return t.text
}

// A lexer cuts a template into tokens. It handles blanks around tags as jinja2 does with
// trim_blocks and lstrip_blocks: a block removes the line break after it and the blanks
// between the line's start and it.
type lexer struct {
	rest   string
	tokens []token
	line   *int
	// strip drops blanks before the next text. fresh reports that it begins a line.
	strip, fresh bool
}

// lex returns the tokens of source and keeps line at the current line.
func lex(source string, line *int) []token {
	source = strings.ReplaceAll(source, "\r\n", "\n")
	source = strings.ReplaceAll(source, "\r", "\n")
	x := &lexer{rest: strings.TrimSuffix(source, "\n"), line: line, fresh: true}
	*line = 1
	for x.tag() {
	}
	return append(x.tokens, token{endOfSource, "", *line})
}

func (x *lexer) emit(k kind, text string) { x.tokens = append(x.tokens, token{k, text, *x.line}) }

// skip advances by n bytes.
func (x *lexer) skip(n int) {
	*x.line += strings.Count(x.rest[:n], "\n")
	x.rest = x.rest[n:]
}

// tag reads the text up to the next tag, and the tag. It reports whether there was one.
func (x *lexer) tag() bool {
	at := nextTag(x.rest)
	if at < 0 {
		x.text(len(x.rest), 0, 0)
		return false
	}
	what := x.rest[at+1]
	control := byte(0)
	if at+2 < len(x.rest) && (x.rest[at+2] == '-' || x.rest[at+2] == '+') {
		control = x.rest[at+2]
	}
	x.text(at, what, control)
	x.skip(2)
	if control != 0 {
		x.skip(1)
	}
	switch what {
	case '#':
		x.comment()
	case '%':
		if !x.raw() {
			x.emit(openBlock, "")
			x.inside("%}", closeBlock)
		}
	default:
		x.emit(openValue, "")
		x.inside("}}", closeValue)
	}
	return true
}

// nextTag returns the index of the next {{, {% or {#.
func nextTag(s string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '{')
		if i < 0 || from+i+1 >= len(s) {
			return -1
		}
		from += i
		if c := s[from+1]; c == '{' || c == '%' || c == '#' {
			return from
		}
		from++
	}
}

// text emits the next n bytes as text before a tag of kind next with the control sign
// control: -, + or none.
func (x *lexer) text(n int, next, control byte) {
	s := x.rest[:n]
	line := *x.line
	x.skip(n)
	if x.strip {
		s = strings.TrimLeftFunc(s, isSpace)
	}
	switch {
	case control == '-':
		s = strings.TrimRightFunc(s, isSpace)
	case (next == '%' || next == '#') && control != '+':
		begin := strings.LastIndexByte(s, '\n') + 1
		if (begin > 0 || x.fresh) && strings.TrimFunc(s[begin:], isSpace) == "" {
			s = s[:begin]
		}
	}
	if s != "" {
		x.tokens = append(x.tokens, token{data, s, line})
	}
}

// closed ends a tag with the given control sign at its end.
func (x *lexer) closed(control byte, block bool) {
	x.strip, x.fresh = control == '-', false
	if control == 0 && block && strings.HasPrefix(x.rest, "\n") {
		x.skip(1)
		x.fresh = true
	}
}

func (x *lexer) comment() {
	end := strings.Index(x.rest, "#}")
	if end < 0 {
		fail("a comment is not closed with #}")
	}
	control := byte(0)
	if end > 0 && (x.rest[end-1] == '-' || x.rest[end-1] == '+') {
		control = x.rest[end-1]
	}
	x.skip(end + 2)
	x.closed(control, true)
}

// raw reads {% raw %}…{% endraw %}, whose content is text.
func (x *lexer) raw() bool {
	n, control := rawTag(x.rest, "raw")
	if n < 0 {
		return false
	}
	x.skip(n)
	x.strip, x.fresh = control == '-', false
	for from := 0; ; from += 2 {
		i := strings.Index(x.rest[from:], "{%")
		if i < 0 {
			fail("a raw block is not closed with {%% endraw %%}")
		}
		from += i
		inside, before := x.rest[from+2:], byte(0)
		if inside != "" && (inside[0] == '-' || inside[0] == '+') {
			inside, before = inside[1:], inside[0]
		}
		n, control := rawTag(inside, "endraw")
		if n < 0 {
			continue
		}
		x.text(from, '%', before)
		x.skip(len(x.rest) - len(inside) + n)
		x.closed(control, true)
		return true
	}
}

// rawTag returns the length of the inside of a tag with one name, including its end, and
// the control sign there; -1 for any other tag.
func rawTag(s, name string) (n int, control byte) {
	rest := strings.TrimLeftFunc(s, isSpace)
	rest, ok := strings.CutPrefix(rest, name)
	if !ok {
		return -1, 0
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		control, rest = rest[0], rest[1:]
	}
	if rest, ok = strings.CutPrefix(rest, "%}"); !ok {
		return -1, 0
	}
	return len(s) - len(rest), control
}

// isSpace implements Python's str.isspace for a character.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
