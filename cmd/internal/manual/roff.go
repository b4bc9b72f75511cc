package manual

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A page is the text of a manual page as it is written.
type page struct{ b bytes.Buffer }

func (p *page) bytes() []byte { return p.b.Bytes() }

// line writes a line of text that raw, text, bold or italic has escaped.
func (p *page) line(escaped string) {
	if strings.HasPrefix(escaped, ".") || strings.HasPrefix(escaped, "'") {
		escaped = `\&` + escaped
	}
	p.b.WriteString(escaped + "\n")
}

// macro writes a request with its arguments.
func (p *page) macro(name string, arguments ...string) {
	p.b.WriteString("." + name)
	for _, argument := range arguments {
		p.b.WriteString(` "` + strings.ReplaceAll(raw(argument), `"`, `\(dq`) + `"`)
	}
	p.b.WriteByte('\n')
}

func (p *page) section(title string)    { p.macro("SH", title) }
func (p *page) subsection(title string) { p.macro("SS", title) }

// paragraphs writes a text whose paragraphs are separated by empty lines. Indented lines
// keep their breaks.
func (p *page) paragraphs(long string) {
	for i, paragraph := range strings.Split(long, "\n\n") {
		if i > 0 {
			p.macro("PP")
		}
		code := false
		for line := range strings.SplitSeq(paragraph, "\n") {
			if !code && strings.HasPrefix(line, "  ") {
				p.macro("EX")
				code = true
			}
			p.line(text(line))
		}
		if code {
			p.macro("EE")
		}
	}
}

// seeAlso writes the section that names other pages.
func (p *page) seeAlso(pages ...string) {
	p.section("SEE ALSO")
	for i, name := range pages {
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		p.b.WriteString(".BR " + raw(name) + " (1)" + end + "\n")
	}
}

// escapes are the characters that roff would not print as they are.
var escapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`, "'", `\(aq`)

// raw returns a text to be printed character by character, in ASCII.
func raw(s string) string {
	var b strings.Builder
	for _, r := range escapes.Replace(s) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

// text returns prose, whose backquotes set off what is typed.
func text(s string) string {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			part = `\fB` + raw(part) + `\fR`
		} else {
			part = raw(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

func bold(s string) string   { return `\fB` + raw(s) + `\fR` }
func italic(s string) string { return `\fI` + raw(s) + `\fR` }
