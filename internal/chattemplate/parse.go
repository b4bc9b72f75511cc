package chattemplate

import "slices"

// A parser builds statements from tokens. Its grammar is that of jinja2's parser,
// including its oddities: `is` reads a name after a test as an argument.
type parser struct {
	tokens []token
	at     int
	line   int // of the last token read
	depth  int // of blocks and expressions
	marks  bool
	// macro is the one whose body is being parsed.
	macro *macro
}

func (p *parser) peek() token { return p.tokens[p.at] }

// take returns the next token; it never passes the end of the template.
func (p *parser) take() token {
	t := p.tokens[p.at]
	p.line = t.line
	if t.kind != endOfSource {
		p.at++
	}
	return t
}

func (p *parser) is(k kind, text string) bool {
	t := p.peek()
	return t.kind == k && t.text == text
}

func (p *parser) skip(k kind, text string) bool {
	if p.is(k, text) {
		p.take()
		return true
	}
	return false
}

func (p *parser) operator(text string) bool { return p.skip(operator, text) }

func (p *parser) want(text string) {
	if !p.operator(text) {
		fail("found %q, want %q", p.take(), text)
	}
}

func (p *parser) name() string {
	t := p.take()
	if t.kind != word {
		fail("found %q, want a name", t)
	}
	return t.text
}

// close reads the end of a block's tag.
func (p *parser) close() {
	if t := p.take(); t.kind != closeBlock {
		fail("found %q, want the end of the tag", t)
	}
}

// enter counts a level of nesting and returns the function that leaves it.
func (p *parser) enter() func() {
	if p.depth++; p.depth > maxNesting {
		fail("nested more than %d deep", maxNesting)
	}
	return func() { p.depth-- }
}

// body parses statements up to one of the tags ends, whose name it reads, or to the end
// of the template if there are none.
func (p *parser) body(ends ...string) (body []statement, end string) {
	defer p.enter()()
	for {
		switch t := p.take(); t.kind {
		case endOfSource:
			if len(ends) > 0 {
				fail("the template ends without %s", ends[0])
			}
			return body, ""
		case data:
			body = append(body, literal(t.text))
		case openValue:
			body = append(body, &printed{line: t.line, value: p.tuple(p.expression)})
			if t := p.take(); t.kind != closeValue {
				fail("found %q, want }}", t)
			}
		case openBlock:
			if next := p.peek(); next.kind == word && slices.Contains(ends, next.text) {
				p.take()
				return body, next.text
			}
			body = append(body, p.statement())
		}
	}
}

// closedBody parses a block's content after its tag, through its end tag.
func (p *parser) closedBody(end string) []statement {
	p.close()
	body, _ := p.body(end)
	p.close()
	return body
}

func (p *parser) statement() statement {
	tag := p.name()
	line := p.line
	switch tag {
	case "if":
		return p.branch(line)
	case "for":
		return p.loop(line)
	case "set":
		return p.set(line)
	case "macro":
		m := p.signature(p.name())
		outer := p.macro
		p.macro = m
		m.body = p.closedBody("endmacro")
		p.macro = outer
		return &define{m}
	case "call":
		return p.callBlock(line)
	case "filter":
		p.at--
		p.tokens[p.at] = token{operator, "|", line}
		value := p.filters(&captured{})
		return &filterBlock{line, value, p.closedBody("endfilter")}
	case "with":
		return p.with(line)
	case "generation":
		p.marks = true
		return &generation{p.closedBody("endgeneration")}
	case "break", "continue":
		p.close()
		if tag == "break" {
			return stop
		}
		return again
	case "block", "extends", "include", "import", "from", "autoescape", "print", "do", "trans":
		fail("the tag %q is not supported; chat templates have neither files nor extensions", tag)
	}
	fail("tag %q is unknown", tag)
	return nil
}

func (p *parser) branch(line int) statement {
	n := &branch{line: line, when: p.tuple(p.or)}
	p.close()
	var end string
	n.then, end = p.body("endif", "else", "elif")
	switch end {
	case "elif":
		defer p.enter()()
		n.otherwise = []statement{p.branch(p.line)}
		return n
	case "else":
		n.otherwise = p.closedBody("endif")
		return n
	}
	p.close()
	return n
}

func (p *parser) loop(line int) statement {
	n := &loop{line: line, target: p.target()}
	if !p.skip(word, "in") {
		fail("found %q, want in", p.take())
	}
	n.over = p.tuple(p.or)
	if p.skip(word, "if") {
		n.only = p.expression()
	}
	n.recursive = p.skip(word, "recursive")
	p.close()
	var end string
	n.body, end = p.body("endfor", "else")
	if end == "else" {
		n.none = p.closedBody("endfor")
		return n
	}
	p.close()
	return n
}

// target parses the left side of an assignment: a name, an attribute of a namespace, or
// several in a row or in brackets.
func (p *parser) target() target {
	defer p.enter()()
	first := p.oneTarget()
	if !p.is(operator, ",") {
		return first
	}
	all := targets{first}
	for p.operator(",") {
		if t := p.peek(); t.kind == operator && t.text != "(" || t.kind == word && t.text == "in" {
			break
		}
		all = append(all, p.oneTarget())
	}
	return all
}

func (p *parser) oneTarget() target {
	if p.operator("(") {
		t := p.target()
		p.want(")")
		return t
	}
	name := p.name()
	if p.operator(".") {
		return &member{name, p.name()}
	}
	return variable(name)
}

func (p *parser) set(line int) statement {
	n := &set{line: line, target: p.target()}
	if p.operator("=") {
		n.value = p.tuple(p.expression)
		p.close()
		return n
	}
	if p.is(operator, "|") {
		n.value = p.filters(&captured{})
	}
	n.block = true
	n.body = p.closedBody("endset")
	return n
}

// signature parses the parameters of a macro.
func (p *parser) signature(name string) *macro {
	m := &macro{name: name, line: p.line}
	p.want("(")
	for !p.operator(")") {
		if len(m.parameters) > 0 {
			p.want(",")
		}
		one := parameter{name: p.name()}
		if p.operator("=") {
			one.fallback = p.expression()
		}
		m.parameters = append(m.parameters, one)
	}
	return m
}

func (p *parser) callBlock(line int) statement {
	m := &macro{name: "caller", line: line}
	if p.is(operator, "(") {
		m = p.signature("caller")
	}
	c, ok := p.expression().(*call)
	if !ok {
		fail("call needs a call of a macro")
	}
	outer := p.macro
	p.macro = m
	m.body = p.closedBody("endcall")
	p.macro = outer
	return &callBlock{line, c, m}
}

func (p *parser) with(line int) statement {
	n := &with{line: line}
	for p.peek().kind != closeBlock {
		if len(n.targets) > 0 {
			p.want(",")
		}
		n.targets = append(n.targets, p.target())
		p.want("=")
		n.values = append(n.values, p.expression())
	}
	n.body = p.closedBody("endwith")
	return n
}
