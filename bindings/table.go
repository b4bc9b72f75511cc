package bindings

import "reflect"

// An Implementation runs one operation on a device of type D and plans it by a profile
// of type P.
type Implementation[D, P any] struct {
	operation reflect.Type
	run       func(D, Operation)
	needs     func(P, Operation) Needs
}

// Implement pairs run, which computes an operation that passed [Check], with needs,
// which returns its scratch memory.
func Implement[D, P any, O Operation](run func(D, O), needs func(P, O) Needs) Implementation[D, P] {
	return Implementation[D, P]{
		operation: reflect.TypeFor[O](),
		run:       func(d D, op Operation) { run(d, op.(O)) },
		needs:     func(p P, op Operation) Needs { return needs(p, op.(O)) },
	}
}

// NeedsNothing returns the zero Needs, for operations without scratch.
func NeedsNothing[P any, O Operation](P, O) Needs { return Needs{} }

// A Table holds a device's implementations by operation.
type Table[D, P any] struct {
	rows map[reflect.Type]Implementation[D, P]
}

// NewTable returns a table of the given implementations.
func NewTable[D, P any](rows ...Implementation[D, P]) *Table[D, P] {
	t := &Table[D, P]{rows: make(map[reflect.Type]Implementation[D, P], len(rows))}
	for _, r := range rows {
		t.rows[r.operation] = r
	}
	return t
}

// Has reports whether the table implements op's type.
func (t *Table[D, P]) Has(op Operation) bool {
	_, ok := t.rows[reflect.TypeOf(op)]
	return ok
}

// Run runs op on d. If the table lacks op, it returns a MissingError that names device.
func (t *Table[D, P]) Run(d D, device string, op Operation) error {
	r, ok := t.rows[reflect.TypeOf(op)]
	if !ok {
		return &MissingError{Device: device, Operation: op.Name()}
	}
	r.run(d, op)
	return nil
}

// Needs returns the scratch memory of op; zero if the table lacks op.
func (t *Table[D, P]) Needs(p P, op Operation) Needs {
	if r, ok := t.rows[reflect.TypeOf(op)]; ok {
		return r.needs(p, op)
	}
	return Needs{}
}
