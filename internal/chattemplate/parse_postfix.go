package chattemplate

import (
	"slices"
	"strings"
)

// postfix parses attributes, elements and calls after a value. Each nests.
func (p *parser) postfix(value expression) expression {
	for range maxNesting {
		switch {
		case p.operator("."):
			t := p.take()
			switch t.kind {
			case word:
				value = &attribute{t.line, value, t.text}
			case whole:
				value = &element{t.line, value, constant{wholeNumber(t.text)}}
			default:
				fail("found %q, want the name of an attribute", t)
			}
		case p.operator("["):
			value = p.subscript(value)
		case p.operator("("):
			value = &call{p.line, value, p.arguments()}
		default:
			return value
		}
	}
	fail("more than %d attributes, elements and calls follow one value", maxNesting)
	return nil
}

func (p *parser) subscript(of expression) expression {
	line := p.line
	var items []expression
	for !p.operator("]") {
		if len(items) > 0 {
			p.want(",")
		}
		var bounds [3]expression
		n, part := 0, false
		for !p.is(operator, "]") && !p.is(operator, ",") {
			if p.operator(":") {
				part = true
				if n++; n > 2 {
					fail("a slice has at most three parts")
				}
				continue
			}
			bounds[n] = p.expression()
		}
		if part {
			if len(items) > 0 || !p.operator("]") {
				fail("a slice cannot be one of several")
			}
			return &slice{line, of, bounds}
		}
		if bounds[0] == nil {
			fail("found %q, want an index", p.take())
		}
		items = append(items, bounds[0])
	}
	if len(items) == 1 {
		return &element{line, of, items[0]}
	}
	return &element{line, of, &sequence{items: items, kind: tupleKind}}
}

// arguments parses those of a call after its opening bracket.
func (p *parser) arguments() arguments {
	var a arguments
	for first := true; !p.operator(")"); first = false {
		if !first {
			p.want(",")
			if p.operator(")") {
				break
			}
		}
		next := p.tokens[min(p.at+1, len(p.tokens)-1)]
		switch {
		case p.operator("*"):
			a.positional = append(a.positional, argument{value: p.expression(), spread: true})
		case p.operator("**"):
			a.named = append(a.named, argument{value: p.expression(), spread: true})
		case p.peek().kind == word && next.kind == operator && next.text == "=":
			name := p.name()
			p.want("=")
			a.named = append(a.named, argument{name: name, value: p.expression()})
		case len(a.named) > 0:
			fail("a positional argument follows a named one")
		default:
			a.positional = append(a.positional, argument{value: p.expression()})
		}
	}
	return a
}

// filters parses filters, tests and calls after a value.
func (p *parser) filters(value expression) expression {
	for range maxNesting {
		switch {
		case p.operator("|"):
			n := &filtered{line: p.line, value: value, name: p.dotted()}
			if p.operator("(") {
				n.arguments = p.arguments()
			}
			value = n
		case p.skip(word, "is"):
			value = p.test(value)
		case p.operator("("):
			value = &call{p.line, value, p.arguments()}
		default:
			return value
		}
	}
	fail("more than %d filters and tests follow one value", maxNesting)
	return nil
}

func (p *parser) dotted() string {
	names := []string{p.name()}
	for p.operator(".") {
		names = append(names, p.name())
	}
	return strings.Join(names, ".")
}

func (p *parser) test(value expression) expression {
	n := &tested{line: p.line, value: value}
	negated := p.skip(word, "not")
	n.name = p.dotted()
	t := p.peek()
	switch {
	case p.operator("("):
		n.arguments = p.arguments()
	case t.kind == word && slices.Contains([]string{"else", "or", "and"}, t.text):
	case t.kind == word && t.text == "is":
		fail("several tests by is cannot follow one another")
	case t.kind == word, t.kind == quoted, t.kind == whole, t.kind == decimal,
		t.kind == operator && (t.text == "[" || t.text == "{"):
		n.arguments.positional = []argument{{value: p.postfix(p.primary())}}
	}
	if negated {
		return &negation{n}
	}
	return n
}
