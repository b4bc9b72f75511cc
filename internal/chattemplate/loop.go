package chattemplate

// loop is {% for %}.
type loop struct {
	line       int
	target     target
	over, only expression // only filters the elements; nil keeps all
	body, none []statement
	recursive  bool
}

func (n *loop) run(r *run, s *scope, w *output) leave {
	r.line = n.line
	return n.rounds(r, s, w, n.over.eval(r, s), 0)
}

// rounds runs the body for every element; depth is that of a recursive loop.
func (n *loop) rounds(r *run, s *scope, w *output, over any, depth int) leave {
	items := n.chosen(r, s, r.elements(over))
	if len(items) == 0 {
		return r.all(n.none, s.child(), w)
	}
	state := &loopState{loop: n, items: items, outer: s, depth: depth}
	for i, item := range items {
		r.step()
		state.at = i
		inner := s.child()
		inner.set("loop", state)
		n.target.assign(r, inner, item)
		if r.all(n.body, inner, w) == stop {
			break
		}
	}
	return stay
}

// chosen returns the elements for which the condition holds.
func (n *loop) chosen(r *run, s *scope, items []any) []any {
	if n.only == nil {
		return items
	}
	var chosen []any
	for _, item := range items {
		r.step()
		inner := s.child()
		n.target.assign(r, inner, item)
		if truth(n.only.eval(r, inner)) {
			chosen = append(chosen, item)
		}
	}
	return chosen
}

// loopState is the variable loop.
type loopState struct {
	loop    *loop
	items   []any
	at      int
	depth   int
	outer   *scope
	changed *List // the last arguments of loop.changed
}

// attribute returns loop.first and the others.
func (l *loopState) attribute(name string) (any, bool) {
	last := len(l.items) - 1
	switch name {
	case "index":
		return l.at + 1, true
	case "index0":
		return l.at, true
	case "revindex":
		return last - l.at + 1, true
	case "revindex0":
		return last - l.at, true
	case "first":
		return l.at == 0, true
	case "last":
		return l.at == last, true
	case "length":
		return len(l.items), true
	case "depth":
		return l.depth + 1, true
	case "depth0":
		return l.depth, true
	case "previtem":
		if l.at == 0 {
			return undefined{hint: "there is no previous item"}, true
		}
		return l.items[l.at-1], true
	case "nextitem":
		if l.at == last {
			return undefined{hint: "there is no next item"}, true
		}
		return l.items[l.at+1], true
	case "cycle":
		return function(func(_ *run, a values) any {
			if len(a.positional) == 0 {
				fail("no items for cycling given")
			}
			return a.positional[l.at%len(a.positional)]
		}), true
	case "changed":
		return function(func(r *run, a values) any {
			now := &List{items: a.positional}
			same := l.changed != nil && r.equal(l.changed, now)
			l.changed = now
			return !same
		}), true
	}
	return nil, false
}

// again runs a recursive loop on other elements and returns what it writes.
func (l *loopState) again(r *run, a values) any {
	if !l.loop.recursive {
		fail("loop cannot be called: the loop is not recursive")
	}
	over := a.bind("loop", "iterable")[0]
	defer r.deeper()()
	w := &output{}
	l.loop.rounds(r, l.outer, w, over, l.depth+1)
	return w.text.String()
}
