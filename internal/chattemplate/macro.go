package chattemplate

import "slices"

// A macro is a function that a template defines.
type macro struct {
	name       string
	line       int
	parameters []parameter
	body       []statement
	uses       []string // those of varargs, kwargs and caller that its body names
}

type parameter struct {
	name     string
	fallback expression // nil: none
}

// define is {% macro %}.
type define struct{ macro *macro }

func (n *define) run(_ *run, s *scope, _ *output) leave {
	s.set(n.macro.name, n.macro.in(s))
	return stay
}

// callBlock is {% call %}: it calls a macro with the block as its caller.
type callBlock struct {
	line  int
	call  *call
	block *macro
}

func (n *callBlock) run(r *run, s *scope, w *output) leave {
	r.line = n.line
	of := n.call.of.eval(r, s)
	a := n.call.arguments.eval(r, s)
	a.named.Set("caller", n.block.in(s))
	r.write(w, r.show(r.call(of, a)))
	return stay
}

// in returns the macro as a value, in the scope of its definition.
func (m *macro) in(outer *scope) function {
	return func(r *run, a values) any {
		defer r.deeper()()
		s := outer.child()
		m.assign(r, s, a)
		return r.capture(m.body, s)
	}
}

// assign sets the parameters.
func (m *macro) assign(r *run, s *scope, a values) {
	positional := a.positional
	used := 0
	for i, p := range m.parameters {
		switch value, named := a.named.Get(p.name); {
		case i < len(positional):
			if named {
				fail("macro %q got %q twice", m.name, p.name)
			}
			s.set(p.name, positional[i])
		case named:
			used++
			s.set(p.name, value)
		case p.fallback != nil:
			s.set(p.name, p.fallback.eval(r, s))
		default:
			s.set(p.name, undefined{hint: "parameter '" + p.name + "' was not provided"})
		}
	}
	rest := positional[min(len(m.parameters), len(positional)):]
	if slices.Contains(m.uses, "varargs") {
		s.set("varargs", &List{items: rest, kind: tupleKind})
	} else if len(rest) > 0 {
		fail("macro %q takes at most %d arguments", m.name, len(m.parameters))
	}
	caller, called := a.named.Get("caller")
	if called {
		used++
		if !slices.Contains(m.uses, "caller") {
			fail("macro %q takes no caller", m.name)
		}
		s.set("caller", caller)
	} else if slices.Contains(m.uses, "caller") {
		s.set("caller", undefined{hint: "No caller defined"})
	}
	if slices.Contains(m.uses, "kwargs") {
		others := NewDict()
		for key, value := range a.named.All() {
			if !slices.ContainsFunc(m.parameters, func(p parameter) bool { return p.name == key }) && key != "caller" {
				others.set(key, value)
			}
		}
		s.set("kwargs", others)
	} else if used < a.named.Len() {
		fail("macro %q has no such parameter", m.name)
	}
}

// deeper counts a level of calls and returns the function that leaves it.
func (r *run) deeper() func() {
	if r.depth++; r.depth > maxDepth {
		fail("calls are nested more than %d deep", maxDepth)
	}
	return func() { r.depth-- }
}
