package chattemplate

import (
	"cmp"
	"strings"
)

// equal implements Python's ==.
func (r *run) equal(a, b any) bool { return r.equalTo(a, b, 0) }

// equalTo compares two values. It counts each comparison: shared values can have far more
// parts than bytes.
func (r *run) equalTo(a, b any, depth int) bool {
	tooDeep(depth)
	r.scan(listBytes)
	switch x := a.(type) {
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *List:
		y, ok := b.(*List)
		if !ok || len(x.items) != len(y.items) || (x.kind == tupleKind) != (y.kind == tupleKind) {
			return false
		}
		if x == y {
			return true
		}
		for i := range x.items {
			if !r.equalTo(x.items[i], y.items[i], depth+1) {
				return false
			}
		}
		return true
	case *Dict:
		y, ok := b.(*Dict)
		if !ok || x.Len() != y.Len() {
			return false
		}
		for key, value := range x.All() {
			if other, ok := y.get(key); !ok || !r.equalTo(value, other, depth+1) {
				return false
			}
		}
		return true
	case function:
		return false
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	switch b := b.(type) {
	case undefined, function:
		return false
	case string:
		r.scan(len(b))
	}
	return a == b
}

// compare orders numbers, texts, and lists of them, as Python's < does.
func (r *run) compare(a, b any) int { return r.compareTo(a, b, 0) }

func (r *run) compareTo(a, b any, depth int) int {
	tooDeep(depth)
	r.scan(listBytes)
	for _, v := range []any{a, b} {
		if u, ok := v.(undefined); ok {
			fail("%s", u.message())
		}
	}
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return cmp.Compare(x, y)
		}
	}
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			r.scan(min(len(x), len(y)))
			return strings.Compare(x, y)
		}
	}
	x, isList := a.(*List)
	y, areLists := b.(*List)
	if !isList || !areLists || (x.kind == tupleKind) != (y.kind == tupleKind) {
		fail("'<' not supported between instances of '%s' and '%s'", typeName(a), typeName(b))
	}
	for i := range min(len(x.items), len(y.items)) {
		if !r.equalTo(x.items[i], y.items[i], depth+1) {
			return r.compareTo(x.items[i], y.items[i], depth+1)
		}
	}
	return cmp.Compare(len(x.items), len(y.items))
}

// contains implements Python's in.
func (r *run) contains(of, v any) bool {
	switch x := of.(type) {
	case string:
		part, ok := v.(string)
		if !ok {
			fail("'in <string>' requires string as left operand, not %s", typeName(v))
		}
		r.scan(len(x))
		return strings.Contains(x, part)
	case *Dict:
		_, ok := x.get(v)
		return ok
	}
	for item := range r.iterate(of) {
		r.step()
		if r.equal(item, v) {
			return true
		}
	}
	return false
}
