package chattemplate

// slice is value[start:stop:step].
type slice struct {
	line   int
	of     expression
	bounds [3]expression // nil if omitted
}

func (n *slice) eval(r *run, s *scope) any {
	of := n.of.eval(r, s)
	var bounds [3]any
	for i, b := range n.bounds {
		if b != nil {
			bounds[i] = b.eval(r, s)
		}
	}
	r.line = n.line
	switch x := of.(type) {
	case string:
		return r.sliceText(x, bounds)
	case *List:
		if x.kind != viewKind {
			l := r.list(pick(x.items, bounds))
			l.kind = x.kind
			if x.kind == rangeKind {
				l.kind = plainKind
			}
			return l
		}
	case undefined:
		fail("%s", x.message())
	}
	fail("'%s' object cannot be sliced", typeName(of))
	return nil
}

func (r *run) sliceText(s string, bounds [3]any) string {
	if bounds[2] == nil && isASCII(s) {
		from, to, _ := sliceRange(len(s), bounds)
		return s[from:max(from, to)]
	}
	r.make(8 * len(s))
	return string(pick([]rune(s), bounds))
}

// pick returns the elements of a slice.
func pick[T any](items []T, bounds [3]any) []T {
	from, to, step := sliceRange(len(items), bounds)
	if step == 1 {
		return items[from:max(from, to):max(from, to)]
	}
	var picked []T
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		picked = append(picked, items[i])
	}
	return picked
}

// sliceRange implements Python's slice.indices for n elements.
func sliceRange(n int, bounds [3]any) (from, to, step int) {
	step = 1
	if bounds[2] != nil {
		step = max(-maxRange, min(maxRange, index(bounds[2])))
		if step == 0 {
			fail("slice step cannot be zero")
		}
	}
	low, high := 0, n
	from, to = 0, n
	if step < 0 {
		low, high = -1, n-1
		from, to = n-1, -1
	}
	if bounds[0] != nil {
		from = bounded(index(bounds[0]), n, low, high)
	}
	if bounds[1] != nil {
		to = bounded(index(bounds[1]), n, low, high)
	}
	return from, to, step
}

func bounded(i, n, low, high int) int {
	if i < 0 {
		i += n
	}
	return max(low, min(high, i))
}
