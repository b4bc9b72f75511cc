package chattemplate

import (
	"slices"
	"strings"
)

// attribute is value.name: an attribute of the value, or else its element.
type attribute struct {
	line int
	of   expression
	name string
}

func (n *attribute) eval(r *run, s *scope) any {
	of := n.of.eval(r, s)
	r.step()
	r.line = n.line
	if value, ok := r.member(of, n.name); ok {
		return value
	}
	if d, ok := of.(*Dict); ok {
		if value, ok := d.get(n.name); ok {
			return value
		}
	}
	return noAttribute(of, n.name)
}

// element is value[key]: an element of the value, or else its attribute.
type element struct {
	line    int
	of, key expression
}

func (n *element) eval(r *run, s *scope) any {
	of := n.of.eval(r, s)
	key := n.key.eval(r, s)
	r.step()
	r.line = n.line
	return r.element(of, key)
}

func (r *run) element(of, key any) any {
	switch x := of.(type) {
	case undefined:
		fail("%s", x.message())
	case *Dict:
		if hashable(key) {
			if value, ok := x.get(key); ok {
				return value
			}
		}
	case *List:
		if i, ok := integer(key); ok && x.kind != viewKind {
			if i < 0 {
				i += len(x.items)
			}
			if i >= 0 && i < len(x.items) {
				return x.items[i]
			}
		}
	case string:
		if i, ok := integer(key); ok {
			if c, ok := r.character(x, i); ok {
				return c
			}
		}
	}
	if name, ok := key.(string); ok {
		if value, ok := r.member(of, name); ok {
			return value
		}
		return noAttribute(of, name)
	}
	return undefined{owner: describe(of), name: "has no element " + repr(key)}
}

// character returns the character at i; a negative i counts from the end.
func (r *run) character(s string, i int) (string, bool) {
	if isASCII(s) {
		if i < 0 {
			i += len(s)
		}
		if i < 0 || i >= len(s) {
			return "", false
		}
		return s[i : i+1], true
	}
	r.make(4 * len(s))
	runes := []rune(s)
	if i < 0 {
		i += len(runes)
	}
	if i < 0 || i >= len(runes) {
		return "", false
	}
	return string(runes[i]), true
}

// member returns an attribute or a method of a value.
func (r *run) member(of any, name string) (any, bool) {
	if u, ok := of.(undefined); ok {
		fail("%s", u.message())
	}
	if strings.HasPrefix(name, "__") {
		return nil, false
	}
	switch x := of.(type) {
	case string:
		return stringMethod(x, name)
	case *namespace:
		return x.members.Get(name)
	case *loopState:
		return x.attribute(name)
	case *Dict:
		return dictMethod(x, name)
	case *List:
		if x.kind != viewKind {
			return listMethod(x, name)
		}
	}
	return nil, false
}

// changing lists the methods that the sandbox forbids.
var changing = []string{
	"append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update",
}

// unsafe returns an undefined value for such a method: an error only if it is called.
func unsafe(of any, name string) undefined {
	return undefined{hint: "access to attribute '" + name + "' of '" + typeName(of) + "' object is unsafe."}
}

func dictMethod(d *Dict, name string) (any, bool) {
	var f func(r *run, a values) any
	switch name {
	case "items":
		f = func(r *run, a values) any {
			a.bind("items")
			r.make(d.Len() * 4 * listBytes)
			return d.items()
		}
	case "keys":
		f = func(r *run, a values) any {
			a.bind("keys")
			return &List{items: d.keys, kind: viewKind}
		}
	case "values":
		f = func(r *run, a values) any {
			a.bind("values")
			return &List{items: d.values, kind: viewKind}
		}
	case "get":
		f = func(_ *run, a values) any {
			b := a.bind("get", "key", "default?")
			if value, ok := d.get(b[0]); ok {
				return value
			}
			return b.get(1, nil)
		}
	case "copy":
		f = func(r *run, a values) any {
			a.bind("copy")
			r.make(d.Len() * 2 * listBytes)
			return d.Clone()
		}
	case "clear", "pop", "popitem", "setdefault", "update":
		return unsafe(d, name), true
	default:
		return nil, false
	}
	return function(f), true
}

func listMethod(l *List, name string) (any, bool) {
	switch {
	case name == "index":
		return function(func(r *run, a values) any {
			b := a.bind("index", "value")
			i := slices.IndexFunc(l.items, func(v any) bool { return r.equal(v, b[0]) })
			if i < 0 {
				fail("%s is not in list", repr(b[0]))
			}
			return i
		}), true
	case name == "count":
		return function(func(r *run, a values) any {
			b := a.bind("count", "value")
			n := 0
			for _, v := range l.items {
				if r.equal(v, b[0]) {
					n++
				}
			}
			return n
		}), true
	case name == "copy" && l.kind == plainKind:
		return function(func(_ *run, a values) any {
			a.bind("copy")
			return l
		}), true
	case l.kind == plainKind && slices.Contains(changing, name):
		return unsafe(l, name), true
	}
	return nil, false
}

// path resolves an attribute name of a filter: names and numbers separated by dots.
func (r *run) path(v any, name any) any {
	text, ok := name.(string)
	if !ok {
		return r.element(v, name)
	}
	for part := range strings.SplitSeq(text, ".") {
		if i, ok := asInt(part); ok {
			v = r.element(v, i)
		} else {
			v = r.element(v, part)
		}
	}
	return v
}

// asInt parses a text of digits.
func asInt(s string) (int, bool) {
	if s == "" || len(s) > 9 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}
