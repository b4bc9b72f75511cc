package chattemplate

import "strings"

// lazyFilters return generators, which run when they are read: a value that cannot be
// iterated is no error before that. A false value, None included, has no elements.
var lazyFilters map[string]func(r *run, v any, a values) any

func init() { // not in the declaration: map runs filters
	lazyFilters = map[string]func(r *run, v any, a values) any{
		"map":        mapFilter,
		"select":     func(r *run, v any, a values) any { return r.choose("select", v, a) },
		"reject":     func(r *run, v any, a values) any { return r.choose("reject", v, a) },
		"selectattr": func(r *run, v any, a values) any { return r.choose("selectattr", v, a) },
		"rejectattr": func(r *run, v any, a values) any { return r.choose("rejectattr", v, a) },
	}
}

// mapFilter runs a filter on each element, or reads an attribute of each.
func mapFilter(r *run, v any, a values) any {
	if len(a.positional) == 0 {
		b := a.bind("map", "attribute", "default?")
		return r.lazy(some(v), func(item any) (any, bool) {
			value := r.path(item, b[0])
			if _, none := value.(undefined); none {
				value = b.get(1, value)
			}
			return value, true
		})
	}
	name, ok := a.positional[0].(string)
	if !ok {
		fail("map needs the name of a filter or attribute=…")
	}
	rest := values{positional: a.positional[1:], named: a.named}
	return r.lazy(some(v), func(item any) (any, bool) { return r.filter(name, item, rest), true })
}

func some(v any) any {
	if truth(v) {
		return v
	}
	return NewList()
}

// choose keeps the elements for which a test holds, or for which it does not. Without a
// test it uses their truth value.
func (r *run) choose(name string, v any, a values) any {
	positional := a.positional
	var attribute any
	if strings.HasSuffix(name, "attr") {
		if len(positional) == 0 {
			fail("%s needs the name of an attribute", name)
		}
		attribute, positional = positional[0], positional[1:]
	}
	holds := truth
	if len(positional) > 0 {
		test, ok := positional[0].(string)
		if !ok {
			fail("%s needs the name of a test", name)
		}
		rest := values{positional: positional[1:], named: a.named}
		holds = func(item any) bool { return r.test(test, item, rest) }
	}
	keep := strings.HasPrefix(name, "select")
	return r.lazy(some(v), func(item any) (any, bool) {
		of := item
		if attribute != nil {
			of = r.path(item, attribute)
		}
		return item, holds(of) == keep
	})
}
