package chattemplate

import (
	"fmt"
	"strings"
)

// builtins holds the functions available to every template.
var builtins = map[string]function{
	"range":           rangeFunction,
	"namespace":       namespaceFunction,
	"dict":            dictFunction,
	"joiner":          joiner,
	"raise_exception": raise,
	"strftime_now":    strftimeNow,
}

func rangeFunction(r *run, a values) any {
	if a.named.Len() > 0 {
		fail("range takes no named arguments")
	}
	b := a.bind("range", "start", "stop?", "step?")
	from, to, step := 0, b.number(0, 0), b.number(2, 1)
	shown := fmt.Sprintf("range(0, %d)", to)
	if len(a.positional) > 1 {
		from, to = to, b.number(1, 0)
		shown = fmt.Sprintf("range(%d, %d)", from, to)
	}
	if step == 0 {
		fail("range() arg 3 must not be zero")
	}
	if step != 1 {
		shown = strings.TrimSuffix(shown, ")") + fmt.Sprintf(", %d)", step)
	}
	var items []any
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(items) == maxRange {
			fail("range too big: it has more than %d numbers", maxRange)
		}
		items = append(items, i)
	}
	l := r.list(items)
	l.kind, l.shown = rangeKind, shown
	return l
}

func namespaceFunction(r *run, a values) any {
	n := &namespace{NewDict()}
	for name, value := range dictFunction(r, a).(*Dict).All() {
		text, ok := name.(string)
		if !ok {
			fail("a namespace's names must be strings")
		}
		n.set(text, value)
	}
	return n
}

// dictFunction builds a dict from a mapping or pairs, and from named arguments.
func dictFunction(r *run, a values) any {
	d := NewDict()
	if len(a.positional) > 1 {
		fail("dict expected at most 1 argument, got %d", len(a.positional))
	}
	if len(a.positional) == 1 {
		switch x := a.positional[0].(type) {
		case *Dict:
			d = x.Clone()
		default:
			for pair := range r.iterate(x) {
				both := r.elements(pair)
				if len(both) != 2 {
					fail("a dict needs pairs, but an element has %d parts", len(both))
				}
				d.set(both[0], both[1])
			}
		}
	}
	for name, value := range a.named.All() {
		d.set(name, value)
	}
	r.make(d.Len() * 2 * listBytes)
	return d
}

// joiner returns a function that returns "" the first time and the separator afterwards.
func joiner(r *run, a values) any {
	between := r.show(a.bind("joiner", "sep?").get(0, ", "))
	used := false
	return function(func(*run, values) any {
		if !used {
			used = true
			return ""
		}
		return between
	})
}

// raise ends the rendering with the template's message.
func raise(r *run, a values) any {
	panic(&Error{Message: r.show(a.bind("raise_exception", "message")[0]), Raised: true})
}

func strftimeNow(r *run, a values) any {
	return r.text(strftime(r.now(), a.bind("strftime_now", "format").text(0)))
}
