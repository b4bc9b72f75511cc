package chattemplate

// A test follows is.
type test struct {
	parameters []string
	holds      func(r *run, v any, a bound) bool
}

func typeTest[T any]() test {
	return test{nil, func(_ *run, v any, _ bound) bool {
		_, ok := v.(T)
		return ok
	}}
}

func operatorTest(o string) test {
	return test{[]string{"other"}, func(r *run, v any, a bound) bool { return r.holds(o, v, a[0]) }}
}

var tests = map[string]test{
	"boolean":   typeTest[bool](),
	"float":     typeTest[float64](),
	"mapping":   typeTest[*Dict](),
	"string":    typeTest[string](),
	"undefined": typeTest[undefined](),
	"callable": {nil, func(_ *run, v any, _ bound) bool {
		_, ok := v.(function)
		_, loop := v.(*loopState)
		return ok || loop
	}},
	"defined": {nil, func(_ *run, v any, _ bound) bool {
		_, ok := v.(undefined)
		return !ok
	}},
	"divisibleby": {[]string{"num"}, func(r *run, v any, a bound) bool { return r.equal(r.operate("%", v, a[0]), 0) }},
	"escaped":     {nil, func(*run, any, bound) bool { return false }},
	"even":        {nil, func(r *run, v any, _ bound) bool { return r.equal(r.operate("%", v, 2), 0) }},
	"false":       {nil, func(_ *run, v any, _ bound) bool { return v == any(false) }},
	"filter": {nil, func(r *run, v any, _ bound) bool {
		return knows(r.show(v), filters) || knows(r.show(v), sequenceFilters) || knows(r.show(v), lazyFilters)
	}},
	"integer": {nil, func(_ *run, v any, _ bound) bool {
		switch v.(type) {
		case int, bigInt:
			return true
		}
		return false
	}},
	"iterable": {nil, func(_ *run, v any, _ bound) bool {
		switch v.(type) {
		case string, *List, *Dict, *generator, undefined:
			return true
		}
		return false
	}},
	"lower": {nil, func(r *run, v any, _ bound) bool { return isCase(r.show(v), false) }},
	"none":  {nil, func(_ *run, v any, _ bound) bool { return v == nil }},
	"number": {nil, func(_ *run, v any, _ bound) bool {
		switch v.(type) {
		case bool, int, bigInt, float64:
			return true
		}
		return false
	}},
	"odd":    {nil, func(r *run, v any, _ bound) bool { return r.equal(r.operate("%", v, 2), 1) }},
	"sameas": {[]string{"other"}, func(_ *run, v any, a bound) bool { return sameAs(v, a[0]) }},
	"sequence": {nil, func(_ *run, v any, _ bound) bool {
		switch x := v.(type) {
		case string, *Dict, undefined:
			return true
		case *List:
			return x.kind != viewKind
		}
		return false
	}},
	"test":  {nil, func(r *run, v any, _ bound) bool { return isTest(r.show(v)) }},
	"true":  {nil, func(_ *run, v any, _ bound) bool { return v == any(true) }},
	"upper": {nil, func(r *run, v any, _ bound) bool { return isCase(r.show(v), true) }},

	"in": operatorTest("in"),
	"==": operatorTest("=="), "eq": operatorTest("=="), "equalto": operatorTest("=="),
	"!=": operatorTest("!="), "ne": operatorTest("!="),
	"<": operatorTest("<"), "lt": operatorTest("<"), "lessthan": operatorTest("<"),
	">": operatorTest(">"), "gt": operatorTest(">"), "greaterthan": operatorTest(">"),
	"<=": operatorTest("<="), "le": operatorTest("<="),
	">=": operatorTest(">="), "ge": operatorTest(">="),
}

var testNames map[string]bool

func init() { // not in the declaration: one of the tests reads it
	testNames = map[string]bool{}
	for name := range tests {
		testNames[name] = true
	}
}

func isTest(name string) bool { return testNames[name] }

func knows[T any](name string, in map[string]T) bool {
	_, ok := in[name]
	return ok
}

// test runs the test called name.
func (r *run) test(name string, v any, a values) bool {
	r.step()
	r.scan(sizeOf(v))
	t, ok := tests[name]
	if !ok {
		fail("test %q is unknown", name)
	}
	return t.holds(r, v, a.bind(name, t.parameters...))
}

// sameAs implements Python's is, as far as values have an identity here.
func sameAs(a, b any) bool {
	_, f := a.(function)
	_, g := b.(function)
	return !f && !g && a == b
}
