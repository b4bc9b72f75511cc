package chattemplate

import (
	"iter"
	"math"
	"slices"
)

// A Dict is a dict: keys in the order in which they were first set.
type Dict struct {
	keys, values []any
	places       map[any]int // of the keys by hash; only with many keys
}

// fewKeys is the largest number of keys that are searched linearly.
const fewKeys = 8

// NewDict returns an empty dict.
func NewDict() *Dict { return &Dict{} }

// Set sets the value of a key.
func (d *Dict) Set(key string, value any) { d.set(key, value) }

// Get returns the value of a key and whether the key is present.
func (d *Dict) Get(key string) (any, bool) { return d.get(key) }

// Len returns the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// All yields the keys and values in order. Keys are usually strings.
func (d *Dict) All() iter.Seq2[any, any] {
	return func(yield func(any, any) bool) {
		for i, key := range d.keys {
			if !yield(key, d.values[i]) {
				return
			}
		}
	}
}

// Clone returns a copy with the same keys and values.
func (d *Dict) Clone() *Dict {
	clone := NewDict()
	for key, value := range d.All() {
		clone.set(key, value)
	}
	return clone
}

// Without returns a copy without some keys.
func (d *Dict) Without(keys ...string) *Dict {
	rest := NewDict()
	for key, value := range d.All() {
		if name, ok := key.(string); !ok || !slices.Contains(keys, name) {
			rest.set(key, value)
		}
	}
	return rest
}

func (d *Dict) set(key, value any) {
	if i := d.place(key); i >= 0 {
		d.values[i] = value
		return
	}
	d.keys, d.values = append(d.keys, key), append(d.values, value)
	switch {
	case d.places != nil:
		d.places[hash(key)] = len(d.keys) - 1
	case len(d.keys) > fewKeys:
		d.places = make(map[any]int, 2*len(d.keys))
		for i, k := range d.keys {
			d.places[hash(k)] = i
		}
	}
}

func (d *Dict) get(key any) (any, bool) {
	if i := d.place(key); i >= 0 {
		return d.values[i], true
	}
	return nil, false
}

// place returns the index of a key, or -1.
func (d *Dict) place(key any) int {
	h := hash(key)
	if d.places != nil {
		if i, ok := d.places[h]; ok {
			return i
		}
		return -1
	}
	for i, k := range d.keys {
		if hash(k) == h {
			return i
		}
	}
	return -1
}

// A tupleHash represents a tuple used as a key.
type tupleHash string

// hash returns equal results for values that are equal as keys: 1, 1.0 and True are.
func hash(v any) any {
	switch x := v.(type) {
	case bool:
		i, _ := integer(x)
		return i
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
			return int(x)
		}
	case *Dict:
		fail("unhashable type: 'dict'")
	case *List:
		if x.kind != tupleKind {
			fail("unhashable type: '%s'", typeName(x))
		}
		for _, item := range x.items {
			hash(item)
		}
		return tupleHash(repr(x))
	case function:
		fail("a function cannot be a key")
	}
	return v
}

// hashable reports whether a value can be a key, by its type alone.
func hashable(v any) bool {
	switch x := v.(type) {
	case *Dict, function:
		return false
	case *List:
		return x.kind == tupleKind
	}
	return true
}

// items returns the view of a dict's keys and values.
func (d *Dict) items() *List {
	l := &List{kind: viewKind, items: make([]any, len(d.keys))}
	for i := range d.keys {
		l.items[i] = &List{kind: tupleKind, items: []any{d.keys[i], d.values[i]}}
	}
	return l
}

// A namespace holds a template's variables across the rounds of a loop.
type namespace struct{ members *Dict }

func (n *namespace) set(name string, value any) {
	if name != "" && name[0] == '_' {
		fail("a namespace cannot have the attribute %q: it begins with an underscore", name)
	}
	n.members.Set(name, value)
}
