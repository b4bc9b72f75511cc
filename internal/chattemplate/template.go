// Package chattemplate renders a model's chat template, a Jinja template
// (https://jinja.palletsprojects.com/en/stable/templates/), exactly as transformers'
// apply_chat_template does: with trimmed blocks, Python's str of every value, loop
// controls, `{% generation %}` and a sandbox without mutation of its input.
//
// A template is an untrusted program. Its loops and memory are bounded, and it reaches
// only its input: limits.go holds the bounds.
package chattemplate

import (
	"strings"
	"time"
)

// A Template is a parsed template. It is immutable and safe for concurrent use.
type Template struct {
	source string
	body   []statement
	// marks reports that there is a `{% generation %}` block.
	marks bool
}

// Parse parses a template. An error is an *Error with the line.
func Parse(source string) (t *Template, err error) {
	if len(source) > maxSource {
		return nil, &Error{Message: "the template is longer than 1 MiB"}
	}
	p := &parser{}
	defer catch(&err, &p.line)
	p.tokens = lex(source, &p.line)
	body, _ := p.body()
	return &Template{source: source, body: body, marks: p.marks}, nil
}

// Source returns the text of the template.
func (t *Template) Source() string { return t.source }

// Marks reports whether the template itself marks what the model writes, in `{%
// generation %}` blocks.
func (t *Template) Marks() bool { return t.marks }

// A Span is a range of bytes of a text: text[Start:End].
type Span struct {
	Start, End int
}

// A Rendering is the output of a template.
type Rendering struct {
	Text string
	// Generated holds the spans of Text from `{% generation %}` blocks, in order.
	Generated []Span
	// Displaced reports that the place of a block in Text is unknown: the block was in a
	// macro, or in a text that was stored or filtered before it was written.
	Displaced bool
}

// Render runs the template on variables; Chat passes those of transformers. Values are
// those that Decode returns, and Go's string, bool, int, float64 and nil. now returns
// the time of strftime_now; nil means time.Now.
//
// An error is an *Error with the line.
func (t *Template) Render(variables map[string]any, now func() time.Time) (Rendering, error) {
	if now == nil {
		now = time.Now
	}
	r := &run{now: now}
	return r.render(t, variables)
}

func (r *run) render(t *Template, variables map[string]any) (made Rendering, err error) {
	defer catch(&err, &r.line)
	globals := &scope{}
	for name, value := range builtins {
		globals.set(name, value)
	}
	for name, value := range variables {
		globals.set(name, value)
	}
	w := &output{root: true}
	r.all(t.body, globals.child(), w)
	return Rendering{Text: w.text.String(), Generated: r.generated, Displaced: r.displaced}, nil
}

// An output collects text: the rendering itself, or a text that a block or macro stores.
type output struct {
	text strings.Builder
	root bool
}
