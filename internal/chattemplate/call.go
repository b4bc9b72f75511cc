package chattemplate

import "slices"

// call is a call of a macro, a method or a global.
type call struct {
	line      int
	of        expression
	arguments arguments
}

func (n *call) eval(r *run, s *scope) any {
	of := n.of.eval(r, s)
	a := n.arguments.eval(r, s)
	r.line = n.line
	return r.call(of, a)
}

func (r *run) call(of any, a values) any {
	r.step()
	switch f := of.(type) {
	case function:
		return f(r, a)
	case *loopState:
		return f.again(r, a)
	case undefined:
		fail("%s", f.message())
	}
	fail("'%s' object is not callable", typeName(of))
	return nil
}

// arguments are the unevaluated arguments of a call.
type arguments struct {
	positional, named []argument
}

type argument struct {
	name   string
	value  expression
	spread bool // *value or **value
}

// values are evaluated arguments.
type values struct {
	positional []any
	named      *Dict
}

func (n *arguments) eval(r *run, s *scope) values {
	a := values{named: NewDict()}
	for _, one := range n.positional {
		value := one.value.eval(r, s)
		if one.spread {
			a.positional = append(a.positional, r.elements(value)...)
			r.make(len(a.positional) * listBytes)
			continue
		}
		a.positional = append(a.positional, value)
	}
	for _, one := range n.named {
		value := one.value.eval(r, s)
		if !one.spread {
			a.named.Set(one.name, value)
			continue
		}
		more, ok := value.(*Dict)
		if !ok {
			fail("argument after ** must be a mapping, not %s", typeName(value))
		}
		for key, value := range more.All() {
			name, ok := key.(string)
			if !ok {
				fail("keywords must be strings")
			}
			a.named.Set(name, value)
		}
	}
	return a
}

// A bound holds a function's arguments in the order of its parameters; a missing one is
// marked as missing.
type bound []any

type missing struct{}

// bind matches arguments to parameters. Parameters whose names end in ? are optional.
func (a values) bind(function string, parameters ...string) bound {
	if len(a.positional) > len(parameters) {
		fail("%s takes at most %d arguments, got %d", function, len(parameters), len(a.positional))
	}
	b := make(bound, len(parameters))
	used := len(a.positional)
	for i, p := range parameters {
		name, optional := p, false
		if p[len(p)-1] == '?' {
			name, optional = p[:len(p)-1], true
		}
		value, named := a.named.Get(name)
		switch {
		case i < len(a.positional):
			if named {
				fail("%s got %q twice", function, name)
			}
			b[i] = a.positional[i]
		case named:
			used++
			b[i] = value
		case optional:
			b[i] = missing{}
		default:
			fail("%s needs %q", function, name)
		}
	}
	if used < len(a.positional)+a.named.Len() {
		for key := range a.named.All() {
			if name := key.(string); !slices.Contains(parameters, name) && !slices.Contains(parameters, name+"?") {
				fail("%s has no parameter %q", function, name)
			}
		}
	}
	return b
}

// get returns argument i, or fallback if it is missing.
func (b bound) get(i int, fallback any) any {
	if _, ok := b[i].(missing); ok {
		return fallback
	}
	return b[i]
}

func (b bound) truth(i int, fallback bool) bool { return truth(b.get(i, fallback)) }

func (b bound) number(i, fallback int) int { return index(b.get(i, fallback)) }

// text returns argument i, which must be a str.
func (b bound) text(i int) string {
	s, ok := b[i].(string)
	if !ok {
		fail("argument %d must be str, not %s", i+1, typeName(b[i]))
	}
	return s
}
