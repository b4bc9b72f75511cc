package chattemplate

import (
	"math"
	"slices"
	"strings"
)

// signed is -value or +value.
type signed struct {
	line  int
	minus bool
	value expression
}

func (n *signed) eval(r *run, s *scope) any {
	v := n.value.eval(r, s)
	r.line = n.line
	switch x := v.(type) {
	case undefined:
		fail("%s", x.message())
	case float64:
		if n.minus {
			return -x
		}
		return x
	}
	i, ok := integer(v)
	if !ok {
		fail("bad operand type for a sign: '%s'", typeName(v))
	}
	if n.minus {
		return -i
	}
	return i
}

// arithmetic is a binary operator with its two operands.
type arithmetic struct {
	line        int
	operator    string
	left, right expression
}

func (n *arithmetic) eval(r *run, s *scope) any {
	left := n.left.eval(r, s)
	right := n.right.eval(r, s)
	r.step()
	r.line = n.line
	return r.operate(n.operator, left, right)
}

func (r *run) operate(o string, left, right any) any {
	if o == "~" {
		return r.text(r.show(left) + r.show(right))
	}
	for _, v := range []any{left, right} {
		if u, ok := v.(undefined); ok {
			fail("%s", u.message())
		}
	}
	if a, ok := left.(string); ok {
		if b, ok := right.(string); ok && o == "+" {
			return r.text(a + b)
		}
		if o == "%" {
			return r.percent(a, right)
		}
	}
	if o == "*" {
		if v, ok := r.repeat(left, right); ok {
			return v
		}
		if v, ok := r.repeat(right, left); ok {
			return v
		}
	}
	if a, ok := left.(*List); ok && o == "+" {
		b, ok := right.(*List)
		if ok && a.kind == b.kind && (a.kind == plainKind || a.kind == tupleKind) {
			r.make((len(a.items) + len(b.items)) * listBytes)
			return &List{items: slices.Concat(a.items, b.items), kind: a.kind}
		}
	}
	a, aOK := integer(left)
	b, bOK := integer(right)
	if aOK && bOK {
		return wholeArithmetic(o, a, b)
	}
	x, xOK := number(left)
	y, yOK := number(right)
	if !xOK || !yOK {
		fail("unsupported operand type(s) for %s: '%s' and '%s'", o, typeName(left), typeName(right))
	}
	return floatArithmetic(o, x, y)
}

// repeat returns a text or list repeated by a number.
func (r *run) repeat(of, times any) (any, bool) {
	n, ok := integer(times)
	if !ok {
		return nil, false
	}
	n = max(0, n)
	switch x := of.(type) {
	case string:
		if len(x) > 0 && n > maxMade/len(x) {
			r.make(maxMade + 1)
		}
		r.make(n * len(x))
		return strings.Repeat(x, n), true
	case *List:
		if len(x.items) > 0 && n > maxMade/len(x.items)/listBytes {
			r.make(maxMade + 1)
		}
		r.make(n * len(x.items) * listBytes)
		return &List{items: slices.Repeat(x.items, n), kind: x.kind}, true
	}
	return nil, false
}

// wholeArithmetic computes in 64 bits and fails on overflow; Python's integers are
// unbounded.
func wholeArithmetic(o string, a, b int) any {
	switch o {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return c
		}
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return c
		}
	case "*":
		if a == 0 || b == 0 {
			return 0
		}
		if c := a * b; c/b == a && c != math.MinInt {
			return c
		}
	case "/":
		if b == 0 {
			fail("division by zero")
		}
		return float64(a) / float64(b)
	case "//":
		if b == 0 {
			fail("integer division or modulo by zero")
		}
		return floorDivide(a, b)
	case "%":
		if b == 0 {
			fail("integer division or modulo by zero")
		}
		return a - b*floorDivide(a, b)
	case "**":
		return power(a, b)
	}
	fail("%d %s %d exceeds 64 bits", a, o, b)
	return nil
}

// floorDivide rounds down, as Python does.
func floorDivide(a, b int) int {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func power(a, b int) any {
	if b < 0 {
		if a == 0 {
			fail("0.0 cannot be raised to a negative power")
		}
		return math.Pow(float64(a), float64(b))
	}
	result := math.Pow(float64(a), float64(b))
	if math.Abs(result) >= 1<<53 {
		fail("%d ** %d exceeds 64 bits", a, b)
	}
	return int(result)
}

func floatArithmetic(o string, a, b float64) any {
	switch o {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "**":
		return math.Pow(a, b)
	}
	if b == 0 {
		fail("float division by zero")
	}
	switch o {
	case "/":
		return a / b
	case "//":
		return math.Floor(a / b)
	}
	m := math.Mod(a, b)
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}
