package chattemplate

import (
	"iter"
	"strconv"
	"unicode/utf8"
)

// The values of a template are Python's: nil (None), bool, int, bigInt,
// float64, string, *List, *Dict, *generator, *namespace, function, *loopState
// and undefined.

// A List is a list, or one of Python's other sequences and views.
type List struct {
	items []any
	kind  listKind
	shown string // the text of a range
}

type listKind int

const (
	plainKind listKind = iota
	tupleKind
	rangeKind
	viewKind // the dict's items, keys or values
)

// NewList returns a list of values.
func NewList(items ...any) *List { return &List{items: items} }

// Items returns the list's elements. Callers must not modify them.
func (l *List) Items() []any { return l.items }

// A bigInt is an integer beyond 64 bits. It can only be shown and passed on.
type bigInt string

// A function is callable: a macro, a method or a global of a template.
type function func(r *run, a values) any

// A generator is the result of Python's lazy filters: it can be read once.
type generator struct {
	next func() (any, bool)
}

// An undefined is a missing value: false, empty and without text. Any other use is an
// error.
type undefined struct {
	name  string // of the variable, attribute or element
	owner string // the value without such an attribute; "" for a variable
	hint  string // replaces the whole message if set
}

func (u undefined) message() string {
	switch {
	case u.hint != "":
		return u.hint
	case u.owner != "":
		return u.owner + " " + u.name
	}
	return "'" + u.name + "' is undefined"
}

// noAttribute returns the undefined value of a missing attribute.
func noAttribute(of any, name string) undefined {
	return undefined{owner: quoteName(describe(of)), name: "has no attribute " + quoteName(name)}
}

func quoteName(s string) string { return "'" + s + "'" }

// describe names a value's type as jinja2's messages do.
func describe(v any) string {
	if v == nil {
		return "None"
	}
	return typeName(v) + " object"
}

// typeName returns the name of the value's Python type.
func typeName(v any) string {
	switch x := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int, bigInt:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *List:
		return [...]string{"list", "tuple", "range", "dict view"}[x.kind]
	case *Dict:
		return "dict"
	case *generator:
		return "generator"
	case *namespace:
		return "Namespace"
	case *loopState:
		return "LoopContext"
	case undefined:
		return "Undefined"
	}
	return "function"
}

// truth returns Python's bool of a value.
func truth(v any) bool {
	switch x := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return x
	case int:
		return x != 0
	case float64:
		return x != 0
	case string:
		return x != ""
	case *List:
		return len(x.items) > 0
	case *Dict:
		return x.Len() > 0
	}
	return true
}

// iterate yields the elements of a value one by one.
func (r *run) iterate(v any) iter.Seq[any] {
	switch x := v.(type) {
	case *List:
		return func(yield func(any) bool) {
			for _, item := range x.items {
				if !yield(item) {
					return
				}
			}
		}
	case *Dict:
		return func(yield func(any) bool) {
			for key := range x.All() {
				if !yield(key) {
					return
				}
			}
		}
	case string:
		return func(yield func(any) bool) {
			for _, c := range x {
				if !yield(string(c)) {
					return
				}
			}
		}
	case *generator:
		return func(yield func(any) bool) {
			for {
				item, ok := x.next()
				if !ok || !yield(item) {
					return
				}
			}
		}
	case undefined:
		return func(func(any) bool) {}
	}
	fail("'%s' object is not iterable", typeName(v))
	return nil
}

// elements returns all elements of a value.
func (r *run) elements(v any) []any {
	if l, ok := v.(*List); ok {
		return l.items
	}
	var items []any
	for item := range r.iterate(v) {
		r.make(listBytes)
		items = append(items, item)
	}
	return items
}

// lazy returns a generator of the elements that f keeps, as f maps them.
func (r *run) lazy(v any, f func(item any) (any, bool)) *generator {
	var next func() (any, bool)
	return &generator{func() (any, bool) {
		if next == nil { // a value that cannot be iterated fails only now
			next = r.puller(v)
		}
		for {
			r.step()
			item, ok := next()
			if !ok {
				return nil, false
			}
			if made, keep := f(item); keep {
				return made, true
			}
		}
	}}
}

// puller reads elements one by one without a goroutine, which an error would leak.
func (r *run) puller(v any) func() (any, bool) {
	if g, ok := v.(*generator); ok {
		return g.next
	}
	items := r.elements(v)
	return func() (any, bool) {
		if len(items) == 0 {
			return nil, false
		}
		item := items[0]
		items = items[1:]
		return item, true
	}
}

// length implements Python's len.
func length(v any) int {
	switch x := v.(type) {
	case string:
		return utf8.RuneCountInString(x)
	case *List:
		return len(x.items)
	case *Dict:
		return x.Len()
	case undefined:
		return 0
	}
	fail("object of type '%s' has no len()", typeName(v))
	return 0
}

// number returns a value as a number; a bool is 0 or 1.
func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int:
		return float64(x), true
	case float64:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// integer returns a value as an integer.
func integer(v any) (int, bool) {
	switch x := v.(type) {
	case int:
		return x, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// index returns a value that Python requires to be an int.
func index(v any) int {
	i, ok := integer(v)
	if !ok {
		fail("'%s' object cannot be interpreted as an integer", typeName(v))
	}
	return i
}

func itoa(i int) string { return strconv.Itoa(i) }
