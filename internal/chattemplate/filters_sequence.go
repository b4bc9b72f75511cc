package chattemplate

import (
	"iter"
	"slices"
	"strings"
)

// sequenceFilters holds the filters that read elements.
var sequenceFilters = map[string]filter{
	"batch":    {[]string{"linecount", "fill_with?"}, batch},
	"count":    {nil, func(_ *run, v any, _ bound) any { return length(v) }},
	"dictsort": {[]string{"case_sensitive?", "by?", "reverse?"}, dictSort},
	"first":    {nil, first},
	"items":    {nil, itemsFilter},
	"join":     {[]string{"d?", "attribute?"}, join},
	"last":     {nil, last},
	"length":   {nil, func(_ *run, v any, _ bound) any { return length(v) }},
	"list":     {nil, func(r *run, v any, _ bound) any { return r.list(slices.Clone(r.elements(v))) }},
	"max":      {[]string{"case_sensitive?", "attribute?"}, func(r *run, v any, a bound) any { return r.extreme(v, a, 1) }},
	"min":      {[]string{"case_sensitive?", "attribute?"}, func(r *run, v any, a bound) any { return r.extreme(v, a, -1) }},
	"reverse":  {nil, reverse},
	"sort":     {[]string{"reverse?", "case_sensitive?", "attribute?"}, sortFilter},
	"sum":      {[]string{"attribute?", "start?"}, sum},
	"unique":   {[]string{"case_sensitive?", "attribute?"}, unique},
}

func batch(r *run, v any, a bound) any {
	size := a.number(0, 1)
	if size < 1 {
		fail("a batch must have at least one element")
	}
	var batches []any
	for part := range slices.Chunk(r.elements(v), size) {
		row := slices.Clone(part)
		if fill := a.get(1, nil); fill != nil && len(row) < size {
			r.make((size - len(row)) * listBytes)
			row = append(row, slices.Repeat([]any{fill}, size-len(row))...)
		}
		batches = append(batches, r.list(row))
	}
	return r.list(batches)
}

func first(r *run, v any, _ bound) any {
	for item := range r.iterate(v) {
		return item
	}
	return undefined{hint: "No first item, sequence was empty."}
}

func last(r *run, v any, _ bound) any {
	if _, lazy := v.(*generator); lazy {
		fail("'generator' object is not reversible")
	}
	items := r.elements(v)
	if len(items) == 0 {
		return undefined{hint: "No last item, sequence was empty."}
	}
	return items[len(items)-1]
}

func itemsFilter(r *run, v any, _ bound) any {
	switch x := v.(type) {
	case undefined:
		return r.list(nil)
	case *Dict:
		r.make(x.Len() * 4 * listBytes)
		return x.items()
	}
	fail("Can only get item pairs from a mapping.")
	return nil
}

func join(r *run, v any, a bound) any {
	between := r.show(a.get(0, ""))
	name := a.get(1, nil)
	var b strings.Builder
	count := 0
	for item := range r.iterate(v) {
		r.step()
		if count++; count > 1 {
			r.make(len(between))
			b.WriteString(between)
		}
		if name != nil {
			item = r.path(item, name)
		}
		text := r.show(item)
		r.make(len(text))
		b.WriteString(text)
	}
	return b.String()
}

func reverse(r *run, v any, _ bound) any {
	if s, ok := v.(string); ok {
		r.make(8 * len(s))
		runes := []rune(s)
		slices.Reverse(runes)
		return string(runes)
	}
	if _, lazy := v.(*generator); lazy {
		fail("argument must be iterable")
	}
	items := slices.Clone(r.elements(v))
	r.make(len(items) * listBytes)
	slices.Reverse(items)
	return &generator{slicePuller(items)}
}

func slicePuller(items []any) func() (any, bool) {
	next, stop := 0, len(items)
	return func() (any, bool) {
		if next == stop {
			return nil, false
		}
		next++
		return items[next-1], true
	}
}

// sortKey returns the function that maps elements to their sort key: their attribute, in
// lower case unless caseSensitive.
func (r *run) sortKey(name any, caseSensitive bool) func(any) any {
	fold := func(v any) any {
		if s, ok := v.(string); ok && !caseSensitive {
			return r.text(lower(s))
		}
		return v
	}
	text, several := name.(string)
	if several && strings.Contains(text, ",") {
		names := strings.Split(text, ",")
		return func(v any) any {
			keys := make([]any, len(names))
			for i, one := range names {
				keys[i] = fold(r.path(v, one))
			}
			return r.list(keys)
		}
	}
	return func(v any) any {
		r.step()
		if name != nil {
			v = r.path(v, name)
		}
		return fold(v)
	}
}

// keyed is an element with its key.
type keyed struct{ key, item any }

func (r *run) keyed(items iter.Seq[any], key func(any) any) []keyed {
	var all []keyed
	for item := range items {
		r.make(2 * listBytes)
		all = append(all, keyed{key(item), item})
	}
	return all
}

func (r *run) sorted(all []keyed, backwards bool) []any {
	slices.SortStableFunc(all, func(a, b keyed) int {
		r.step()
		if backwards {
			return r.compare(b.key, a.key)
		}
		return r.compare(a.key, b.key)
	})
	items := make([]any, len(all))
	for i := range all {
		items[i] = all[i].item
	}
	return items
}

func sortFilter(r *run, v any, a bound) any {
	one := r.sortKey(a.get(2, nil), a.truth(1, false))
	key := func(item any) any { return NewList(one(item)) } // as in jinja2: undefined values in lists are equal
	return r.list(r.sorted(r.keyed(r.iterate(v), key), a.truth(0, false)))
}

func dictSort(r *run, v any, a bound) any {
	d, ok := v.(*Dict)
	if !ok {
		fail("dictsort needs a mapping, not %s", typeName(v))
	}
	place := 0
	switch by := a.get(1, "key"); by {
	case "key":
	case "value":
		place = 1
	default:
		fail(`You can only sort by either "key" or "value"`)
	}
	key := r.sortKey(place, a.truth(0, false))
	r.make(d.Len() * 4 * listBytes)
	return r.list(r.sorted(r.keyed(r.iterate(d.items()), key), a.truth(2, false)))
}

func unique(r *run, v any, a bound) any {
	key := r.sortKey(a.get(1, nil), a.truth(0, false))
	seen := NewDict()
	return r.lazy(v, func(item any) (any, bool) {
		k := key(item)
		_, before := seen.get(k)
		if !before {
			r.make(2 * listBytes)
			seen.set(k, nil)
		}
		return item, !before
	})
}

// extreme returns the largest element for sign 1 and the smallest for -1; of equal ones
// the first.
func (r *run) extreme(v any, a bound, sign int) any {
	all := r.keyed(r.iterate(v), r.sortKey(a.get(1, nil), a.truth(0, false)))
	if len(all) == 0 {
		return undefined{hint: "No aggregated item, sequence was empty."}
	}
	best := all[0]
	for _, one := range all[1:] {
		r.step()
		if sign*r.compare(one.key, best.key) > 0 {
			best = one
		}
	}
	return best.item
}

func sum(r *run, v any, a bound) any {
	total := a.get(1, 0)
	name := a.get(0, nil)
	for item := range r.iterate(v) {
		r.step()
		if name != nil {
			item = r.path(item, name)
		}
		total = r.operate("+", total, item)
	}
	return total
}
