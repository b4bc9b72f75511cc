package chattemplate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxPadding bounds widths and precisions of formats.
const maxPadding = 1000

// percent implements Python's text % values.
func (r *run) percent(s string, v any) any {
	items, next := []any{v}, 0
	if l, ok := v.(*List); ok && l.kind == tupleKind {
		items = l.items
	}
	_, mapping := v.(*Dict)
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			break
		}
		var of any
		named := strings.HasPrefix(rest, "(")
		if named {
			key, behind, ok := strings.Cut(rest[1:], ")")
			if !ok || !mapping {
				fail("format requires a mapping")
			}
			of, rest = r.element(v, key), behind
		}
		n := 0
		for n < len(rest) && strings.IndexByte("-+ #0123456789.", rest[n]) >= 0 {
			n++
		}
		if n == len(rest) {
			fail("incomplete format")
		}
		flags, verb := rest[:n], rest[n]
		s = rest[n+1:]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if !named {
			if next == len(items) {
				fail("not enough arguments for format string")
			}
			of = items[next]
			next++
		}
		b.WriteString(r.text(r.conversion(flags, verb, of)))
	}
	if next < len(items) && !mapping {
		fail("not all arguments converted during string formatting")
	}
	return r.text(b.String())
}

// formatArguments returns the arguments of the filter format.
func formatArguments(a values) any {
	if a.named.Len() > 0 {
		if len(a.positional) > 0 {
			fail("can't handle positional and keyword arguments at the same time")
		}
		return a.named
	}
	return &List{items: a.positional, kind: tupleKind}
}

// conversion formats one %… of a text.
func (r *run) conversion(flags string, verb byte, v any) string {
	checkPadding(flags)
	switch verb {
	case 's':
		return fmt.Sprintf("%"+flags+"s", r.show(v))
	case 'r', 'a':
		return fmt.Sprintf("%"+flags+"s", repr(v))
	case 'd', 'i', 'u', 'x', 'X', 'o', 'c':
		if f, ok := v.(float64); ok && strings.IndexByte("diu", verb) >= 0 {
			v = int(f)
		}
		if s, ok := v.(string); ok && verb == 'c' {
			return fmt.Sprintf("%"+flags+"s", s)
		}
		i, ok := integer(v)
		if !ok {
			fail("%%%c format: a real number is required, not %s", verb, typeName(v))
		}
		if strings.IndexByte("iu", verb) >= 0 {
			verb = 'd'
		}
		return fmt.Sprintf("%"+flags+string(verb), i)
	case 'f', 'F', 'e', 'E', 'g', 'G':
		f, ok := number(v)
		if !ok {
			fail("must be real number, not %s", typeName(v))
		}
		return formatFloat(flags, verb, f)
	}
	fail("unsupported format character '%c'", verb)
	return ""
}

// formatFloat formats as fmt, except %g, which has six digits in Python.
func formatFloat(flags string, verb byte, f float64) string {
	if (verb == 'g' || verb == 'G') && !strings.Contains(flags, ".") {
		flags += ".6"
	}
	return fmt.Sprintf("%"+flags+string(verb), f)
}

// checkPadding refuses widths that would produce huge texts.
func checkPadding(flags string) {
	for _, part := range strings.FieldsFunc(flags, func(c rune) bool { return c < '0' || c > '9' }) {
		if n, err := strconv.Atoi(part); err != nil || n > maxPadding {
			fail("a format's width exceeds %d", maxPadding)
		}
	}
}

// format implements str.format, with names and numbers of arguments, !r and !s, and the
// plain format specifications.
func (r *run) format(s string, a values) any {
	var b strings.Builder
	next, numbered := 0, false
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		if strings.HasPrefix(s[i:], "{{") || strings.HasPrefix(s[i:], "}}") {
			b.WriteByte(s[i])
			s = s[i+2:]
			continue
		}
		field, rest, ok := strings.Cut(s[i+1:], "}")
		if s[i] == '}' || !ok || strings.Contains(field, "{") {
			fail("Single '%c' encountered in format string, or fields in fields", s[i])
		}
		s = rest
		field, spec, _ := strings.Cut(field, ":")
		field, conversion, _ := strings.Cut(field, "!")
		if field == "" {
			field = strconv.Itoa(next)
			next++
		} else if _, ok := asInt(field); ok {
			numbered = true
		}
		if numbered && next > 0 {
			fail("cannot switch between automatic field numbering and manual field specification")
		}
		b.WriteString(r.text(r.formatted(r.formatField(field, a), conversion, spec)))
	}
	return r.text(b.String())
}

func (r *run) formatField(field string, a values) any {
	n := strings.IndexAny(field, ".[")
	if n >= 0 {
		fail("attributes and elements in str.format are not supported")
	}
	if i, ok := asInt(field); ok {
		if i >= len(a.positional) {
			fail("Replacement index %d out of range for positional args tuple", i)
		}
		return a.positional[i]
	}
	v, ok := a.named.Get(field)
	if !ok {
		fail("argument %q of format is missing", field)
	}
	return v
}

func (r *run) formatted(v any, conversion, spec string) string {
	switch conversion {
	case "":
	case "s":
		v = r.show(v)
	case "r":
		v = repr(v)
	default:
		fail("Unknown conversion specifier %q", conversion)
	}
	if spec == "" {
		return r.show(v)
	}
	checkPadding(spec)
	fill, align := " ", rune(0)
	if first, n := utf8.DecodeRuneInString(spec); len(spec) > n && strings.IndexByte("<>^", spec[n]) >= 0 {
		fill, align, spec = string(first), rune(spec[n]), spec[n+1:]
	} else if strings.IndexByte("<>^", spec[0]) >= 0 {
		align, spec = rune(spec[0]), spec[1:]
	}
	verb := byte('s')
	if last := spec[max(0, len(spec)-1):]; last != "" && !isDigit(last[0]) {
		verb, spec = last[0], spec[:len(spec)-1]
	} else if _, ok := v.(float64); ok {
		fail("a float needs a type in its format, such as .2f")
	} else if _, ok := integer(v); ok {
		verb = 'd'
	}
	if align == 0 {
		align = '<'
		if verb != 's' {
			align = '>'
		}
		if verb != 's' && strings.HasPrefix(spec, "0") {
			return r.conversion(spec, verb, v)
		}
	}
	width, precision, dotted := strings.Cut(spec, ".")
	flags := ""
	if dotted {
		flags = "." + precision
	}
	wide := 0
	if width != "" {
		var ok bool
		if wide, ok = asInt(width); !ok {
			fail("the format specification %q is not supported", spec)
		}
	}
	return r.pad(r.conversion(flags, verb, v), wide, fill, align)
}
