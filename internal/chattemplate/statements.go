package chattemplate

// literal is text outside of tags.
type literal string

func (n literal) run(r *run, _ *scope, w *output) leave {
	r.write(w, string(n))
	return stay
}

// printed is {{ value }}.
type printed struct {
	line  int
	value expression
}

func (n *printed) run(r *run, s *scope, w *output) leave {
	r.line = n.line
	r.write(w, r.show(n.value.eval(r, s)))
	return stay
}

// branch is {% if %}.
type branch struct {
	line            int
	when            expression
	then, otherwise []statement
}

func (n *branch) run(r *run, s *scope, w *output) leave {
	r.line = n.line
	if truth(n.when.eval(r, s)) {
		return r.all(n.then, s, w)
	}
	return r.all(n.otherwise, s, w)
}

// set is {% set target = value %}, or, as a block, {% set target | filters %}.
type set struct {
	line   int
	target target
	value  expression // of a block: its filters, or nil
	block  bool
	body   []statement
}

func (n *set) run(r *run, s *scope, _ *output) leave {
	r.line = n.line
	switch {
	case !n.block:
		n.target.assign(r, s, n.value.eval(r, s))
	case n.value == nil:
		n.target.assign(r, s, r.capture(n.body, s.child()))
	default:
		n.target.assign(r, s, r.filterText(n.value, r.capture(n.body, s.child()), s))
	}
	return stay
}

// captured is the text of the block that a filter applies to.
type captured struct{}

// captureName cannot be a variable of a template.
const captureName = "\x00captured"

func (n *captured) eval(_ *run, s *scope) any {
	text, _ := s.get(captureName)
	return text
}

// filterText applies a block's filters to its text.
func (r *run) filterText(filters expression, text string, s *scope) any {
	inner := s.child()
	inner.set(captureName, text)
	return filters.eval(r, inner)
}

// filterBlock is {% filter %}.
type filterBlock struct {
	line    int
	filters expression
	body    []statement
}

func (n *filterBlock) run(r *run, s *scope, w *output) leave {
	text := r.capture(n.body, s.child())
	r.line = n.line
	r.write(w, r.show(r.filterText(n.filters, text, s)))
	return stay
}

// with is {% with %}: its values are evaluated in the outer scope.
type with struct {
	line    int
	targets []target
	values  []expression
	body    []statement
}

func (n *with) run(r *run, s *scope, w *output) leave {
	r.line = n.line
	inner := s.child()
	for i, t := range n.targets {
		t.assign(r, inner, n.values[i].eval(r, s))
	}
	return r.all(n.body, inner, w)
}

// generation is {% generation %}: what the model writes.
type generation struct{ body []statement }

func (n *generation) run(r *run, s *scope, w *output) leave {
	start := w.text.Len()
	l := r.all(n.body, s.child(), w)
	if w.root {
		r.generated = append(r.generated, Span{start, w.text.Len()})
	} else {
		r.displaced = true
	}
	return l
}

// A target is the left side of an assignment.
type target interface {
	assign(r *run, s *scope, value any)
}

type variable string

func (t variable) assign(_ *run, s *scope, value any) { s.set(string(t), value) }

// targets unpack a value.
type targets []target

func (t targets) assign(r *run, s *scope, value any) {
	items := r.elements(value)
	if len(items) != len(t) {
		fail("%d values cannot be assigned to %d names", len(items), len(t))
	}
	for i := range t {
		t[i].assign(r, s, items[i])
	}
}

// member is an attribute of a namespace, the only mutable value.
type member struct{ of, name string }

func (t *member) assign(_ *run, s *scope, value any) {
	of, _ := s.get(t.of)
	n, ok := of.(*namespace)
	if !ok {
		fail("cannot assign to %s.%s: %s is not a namespace", t.of, t.name, t.of)
	}
	n.set(t.name, value)
}
