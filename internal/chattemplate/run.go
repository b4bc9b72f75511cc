package chattemplate

import "time"

// A run is one rendering in progress.
type run struct {
	now         func() time.Time
	line        int // of the template, for errors
	steps, made int // see limits.go
	scanned     int // see limits.go
	depth       int // of macros
	generated   []Span
	displaced   bool
}

// A statement is a text, tag or block. It writes to w and returns whether to leave a
// loop.
type statement interface {
	run(r *run, s *scope, w *output) leave
}

// An expression evaluates to one of the values of value.go.
type expression interface {
	eval(r *run, s *scope) any
}

// leave says how a loop's body ended.
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

// capture runs statements and returns what they write.
func (r *run) capture(body []statement, s *scope) string {
	w := &output{}
	r.all(body, s, w)
	return w.text.String()
}

// write appends to the output.
func (r *run) write(w *output, text string) {
	r.make(len(text))
	w.text.WriteString(text)
}

// A scope holds the variables of a block. Lookups search it and then the outer ones; set
// changes this scope alone, so that it ends with the round of a loop.
type scope struct {
	names  []string
	values []any
	outer  *scope
}

func (s *scope) child() *scope { return &scope{outer: s} }

func (s *scope) get(name string) (any, bool) {
	value, ok, _ := s.find(name)
	return value, ok
}

// find returns a variable, and how many names it looked at.
func (s *scope) find(name string) (value any, ok bool, looked int) {
	for ; s != nil; s = s.outer {
		looked += len(s.names)
		for i := range s.names {
			if s.names[i] == name {
				return s.values[i], true, looked
			}
		}
	}
	return nil, false, looked
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
