package chattemplate

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// tuple parses one expression, or several separated by commas.
func (p *parser) tuple(one func() expression) expression {
	defer p.enter()()
	first := one()
	if !p.is(operator, ",") {
		return first
	}
	items := []expression{first}
	for p.operator(",") {
		t := p.peek()
		if t.kind == closeValue || t.kind == closeBlock || p.is(operator, ")") || p.is(operator, "=") {
			break
		}
		items = append(items, one())
	}
	return &sequence{items: items, kind: tupleKind}
}

// expression parses a whole expression, conditional ones included.
func (p *parser) expression() expression {
	defer p.enter()()
	value := p.or()
	for count := 0; p.skip(word, "if"); count++ {
		p.chain(count)
		n := &conditional{line: p.line, then: value, when: p.or()}
		if p.skip(word, "else") {
			n.otherwise = p.expression()
		}
		value = n
	}
	return value
}

// chain refuses operator chains that would be evaluated too deep.
func (p *parser) chain(operators int) {
	if operators > maxChain {
		fail("more than %d operators in a row", maxChain)
	}
}

func (p *parser) or() expression {
	left := p.and()
	for n := 0; p.skip(word, "or"); n++ {
		p.chain(n)
		left = &either{left, p.and()}
	}
	return left
}

func (p *parser) and() expression {
	left := p.not()
	for n := 0; p.skip(word, "and"); n++ {
		p.chain(n)
		left = &both{left, p.not()}
	}
	return left
}

func (p *parser) not() expression {
	if p.skip(word, "not") {
		defer p.enter()()
		return &negation{p.not()}
	}
	return p.comparison()
}

func (p *parser) comparison() expression {
	n := &comparison{first: p.sum()}
	for {
		t := p.peek()
		switch {
		case t.kind == operator && slices.Contains([]string{"==", "!=", "<", ">", "<=", ">="}, t.text), t.kind == word && t.text == "in":
			p.take()
			n.operators = append(n.operators, t.text)
		case t.kind == word && t.text == "not" && p.tokens[p.at+1].kind == word && p.tokens[p.at+1].text == "in":
			p.take()
			p.take()
			n.operators = append(n.operators, "not in")
		case len(n.operators) == 0:
			return n.first
		default:
			return n
		}
		n.line = p.line
		n.others = append(n.others, p.sum())
	}
}

// binary parses operators of one precedence, from left to right.
func (p *parser) binary(operand func() expression, names ...string) expression {
	left := operand()
	for n := 0; ; n++ {
		p.chain(n)
		t := p.peek()
		if t.kind != operator || !slices.Contains(names, t.text) {
			return left
		}
		p.take()
		left = &arithmetic{t.line, t.text, left, operand()}
	}
}

func (p *parser) sum() expression     { return p.binary(p.joined, "+", "-") }
func (p *parser) joined() expression  { return p.binary(p.product, "~") }
func (p *parser) product() expression { return p.binary(p.power, "*", "/", "//", "%") }
func (p *parser) power() expression   { return p.binary(p.unary, "**") }

// unary parses a value with its filters, which apply to the signed value.
func (p *parser) unary() expression { return p.filters(p.signed()) }

func (p *parser) signed() expression {
	if t := p.peek(); t.kind == operator && (t.text == "-" || t.text == "+") {
		defer p.enter()()
		p.take()
		return p.postfix(&signed{t.line, t.text == "-", p.signed()})
	}
	return p.postfix(p.primary())
}

func (p *parser) primary() expression {
	t := p.take()
	switch t.kind {
	case word:
		switch t.text {
		case "true", "True":
			return constant{true}
		case "false", "False":
			return constant{false}
		case "none", "None":
			return constant{nil}
		case "varargs", "kwargs", "caller":
			if p.macro != nil {
				p.macro.uses = append(p.macro.uses, t.text)
			}
		}
		return &name{t.line, t.text}
	case quoted:
		parts := []string{t.text}
		for p.peek().kind == quoted {
			parts = append(parts, p.take().text)
		}
		return constant{strings.Join(parts, "")}
	case whole:
		return constant{wholeNumber(t.text)}
	case decimal:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			fail("%s is out of range", t.text)
		}
		return constant{f}
	case operator:
		switch t.text {
		case "(":
			return p.brackets()
		case "[":
			return &sequence{items: p.items("]"), kind: plainKind}
		case "{":
			return p.dictionary()
		}
	}
	fail("found %q, want a value", t)
	return nil
}

// wholeNumber parses an integer. One that is too large for arithmetic can still be
// shown.
func wholeNumber(text string) any {
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return int(i)
	}
	i, ok := new(big.Int).SetString(text, 0)
	if !ok {
		fail("%s is not an integer", text)
	}
	return bigInt(i.String())
}

func (p *parser) brackets() expression {
	if p.operator(")") {
		return &sequence{kind: tupleKind}
	}
	value := p.tuple(p.expression)
	p.want(")")
	return value
}

// items parses expressions up to the closing bracket.
func (p *parser) items(end string) []expression {
	var items []expression
	for !p.operator(end) {
		if len(items) > 0 {
			p.want(",")
			if p.operator(end) {
				break
			}
		}
		items = append(items, p.expression())
	}
	return items
}

func (p *parser) dictionary() expression {
	n := &dictionary{line: p.line}
	for !p.operator("}") {
		if len(n.keys) > 0 {
			p.want(",")
			if p.operator("}") {
				break
			}
		}
		n.keys = append(n.keys, p.expression())
		p.want(":")
		n.values = append(n.values, p.expression())
	}
	return n
}
