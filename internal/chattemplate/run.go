package chattemplate

import "time"

// A run is one rendering at work.
type run struct {
	now         func() time.Time
	line        int // of the template, for errors
	steps, made int // see limits.go
	depth       int // of macros
	generated   []Span
	displaced   bool
}

// A statement is a text, tag or block. It writes to w and says whether a loop
// is to be left.
type statement interface {
	run(r *run, s *scope, w *output) leave
}

// An expression has a value, one of those of value.go.
type expression interface {
	eval(r *run, s *scope) any
}

// leave says how a loop's body was left.
type leave int

const (
	stay leave = iota
	again
	stop
)

func (l leave) run(*run, *scope, *output) leave { return l }

// all runs statements one after another.
func (r *run) all(body []statement, s *scope, w *output) leave {
	for _, n := range body {
		r.step()
		if l := n.run(r, s, w); l != stay {
			return l
		}
	}
	return stay
}

// capture runs statements and gives what they write.
func (r *run) capture(body []statement, s *scope) string {
	w := &output{}
	r.all(body, s, w)
	return w.text.String()
}

// write adds to the output.
func (r *run) write(w *output, text string) {
	r.make(len(text))
	w.text.WriteString(text)
}

// A scope holds the variables of a block. A name is looked for here and
// outwards; set has effect here alone, so that it ends with a loop's round.
type scope struct {
	names  []string
	values []any
	outer  *scope
}

func (s *scope) child() *scope { return &scope{outer: s} }

func (s *scope) get(name string) (any, bool) {
	for ; s != nil; s = s.outer {
		for i := range s.names {
			if s.names[i] == name {
				return s.values[i], true
			}
		}
	}
	return nil, false
}

func (s *scope) set(name string, value any) {
	for i := range s.names {
		if s.names[i] == name {
			s.values[i] = value
			return
		}
	}
	s.names, s.values = append(s.names, name), append(s.values, value)
}
