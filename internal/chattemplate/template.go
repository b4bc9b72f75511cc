// Package chattemplate renders the chat template of a model, which is a Jinja
// template (https://jinja.palletsprojects.com/en/stable/templates/), exactly as
// transformers' apply_chat_template does: with blocks trimmed, Python's text of
// every value, loop controls, `{% generation %}` and a sandbox in which nothing
// that is given can be changed.
//
// A template is a program from outside. It cannot loop or take memory without
// limit, and cannot reach anything but what it is given: limits.go has the bounds.
package chattemplate

import (
	"strings"
	"time"
)

// A Template is a parsed template. It is immutable and safe for concurrent use.
type Template struct {
	source string
	body   []statement
	// marks says that there is a `{% generation %}` block.
	marks bool
}

// Parse reads a template. An error is an *Error with the line.
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

// Source is the text that the template was parsed from.
func (t *Template) Source() string { return t.source }

// Marks says whether the template marks by itself what the model writes, in
// `{% generation %}` blocks.
func (t *Template) Marks() bool { return t.marks }

// A Span is a range of bytes of a text: text[Start:End].
type Span struct {
	Start, End int
}

// A Rendering is what a template made of its variables.
type Rendering struct {
	Text string
	// Generated are the parts of Text from `{% generation %}` blocks, in order.
	Generated []Span
	// Displaced says that a block stood where its place in Text is not known:
	// in a macro, or in a text that was kept or filtered before it was written.
	Displaced bool
}

// Render runs the template on variables; Chat gives those that transformers
// does. Values are what Decode gives, and Go's string, bool, int, float64 and
// nil. now is what strftime_now tells; nil: time.Now.
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

// An output is what is being written: the rendering itself, or a text that a
// block or macro keeps.
type output struct {
	text strings.Builder
	root bool
}
