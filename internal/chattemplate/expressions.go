package chattemplate

// constant is a literal value in the template.
type constant struct{ value any }

func (n constant) eval(*run, *scope) any { return n.value }

// name is a variable.
type name struct {
	line int
	name string
}

func (n *name) eval(r *run, s *scope) any {
	r.step()
	value, ok, looked := s.find(n.name)
	r.scan(looked * listBytes)
	if ok {
		return value
	}
	return undefined{name: n.name}
}

// sequence is a list or a tuple.
type sequence struct {
	items []expression
	kind  listKind
}

func (n *sequence) eval(r *run, s *scope) any {
	items := make([]any, len(n.items))
	for i, item := range n.items {
		items[i] = item.eval(r, s)
	}
	l := r.list(items)
	l.kind = n.kind
	return l
}

// dictionary is a dict.
type dictionary struct {
	line         int
	keys, values []expression
}

func (n *dictionary) eval(r *run, s *scope) any {
	d := NewDict()
	for i := range n.keys {
		r.make(2 * listBytes)
		key := n.keys[i].eval(r, s)
		r.line = n.line
		d.set(key, n.values[i].eval(r, s))
	}
	return d
}

// negation is not value.
type negation struct{ value expression }

func (n *negation) eval(r *run, s *scope) any { return !truth(n.value.eval(r, s)) }

// both is left and right: the first false value, or the last.
type both struct{ left, right expression }

func (n *both) eval(r *run, s *scope) any {
	if v := n.left.eval(r, s); !truth(v) {
		return v
	}
	return n.right.eval(r, s)
}

// either is left or right: the first true value, or the last.
type either struct{ left, right expression }

func (n *either) eval(r *run, s *scope) any {
	if v := n.left.eval(r, s); truth(v) {
		return v
	}
	return n.right.eval(r, s)
}

// conditional is a if b else c.
type conditional struct {
	line                  int
	then, when, otherwise expression
}

func (n *conditional) eval(r *run, s *scope) any {
	switch {
	case truth(n.when.eval(r, s)):
		return n.then.eval(r, s)
	case n.otherwise != nil:
		return n.otherwise.eval(r, s)
	}
	return undefined{hint: "the inline if-expression on line " + itoa(n.line) +
		" evaluated to false and no else section was defined."}
}

// comparison is a < b, or a chain of comparisons.
type comparison struct {
	line      int
	first     expression
	operators []string
	others    []expression
}

func (n *comparison) eval(r *run, s *scope) any {
	left := n.first.eval(r, s)
	for i, o := range n.operators {
		right := n.others[i].eval(r, s)
		r.step()
		r.line = n.line
		if !r.holds(o, left, right) {
			return false
		}
		left = right
	}
	return true
}

func (r *run) holds(o string, left, right any) bool {
	switch o {
	case "==":
		return r.equal(left, right)
	case "!=":
		return !r.equal(left, right)
	case "<":
		return r.compare(left, right) < 0
	case ">":
		return r.compare(left, right) > 0
	case "<=":
		return r.compare(left, right) <= 0
	case ">=":
		return r.compare(left, right) >= 0
	case "in":
		return r.contains(right, left)
	}
	return !r.contains(right, left)
}

// filtered is value | filter.
type filtered struct {
	line      int
	value     expression
	name      string
	arguments arguments
}

func (n *filtered) eval(r *run, s *scope) any {
	value := n.value.eval(r, s)
	a := n.arguments.eval(r, s)
	r.line = n.line
	return r.filter(n.name, value, a)
}

// tested is value is test.
type tested struct {
	line      int
	value     expression
	name      string
	arguments arguments
}

func (n *tested) eval(r *run, s *scope) any {
	value := n.value.eval(r, s)
	a := n.arguments.eval(r, s)
	r.line = n.line
	return r.test(n.name, value, a)
}
