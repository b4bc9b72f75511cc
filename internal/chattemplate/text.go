package chattemplate

import (
	"fmt"
	"strconv"
	"strings"

	"qlora/internal/pyfloat"
)

// show returns Python's str of a value.
func (r *run) show(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case undefined:
		return ""
	}
	return r.text(repr(v))
}

// repr returns Python's repr of a value.
func repr(v any) string {
	var w reprWriter
	w.value(v, 0)
	return w.b.String()
}

type reprWriter struct{ b strings.Builder }

func (w *reprWriter) value(v any, depth int) {
	tooDeep(depth)
	if w.b.Len() > maxShown {
		fail("a value is longer than %d MiB as text", maxShown>>20)
	}
	switch x := v.(type) {
	case nil:
		w.b.WriteString("None")
	case undefined:
		w.b.WriteString("Undefined")
	case bool:
		w.b.WriteString(map[bool]string{false: "False", true: "True"}[x])
	case int:
		w.b.WriteString(strconv.Itoa(x))
	case bigInt:
		w.b.WriteString(string(x))
	case float64:
		w.b.WriteString(floatText(x))
	case string:
		w.quoted(x)
	case *List:
		w.list(x, depth)
	case *Dict:
		w.dict(x, depth)
	case *namespace:
		w.b.WriteString("<Namespace ")
		w.dict(x.members, depth)
		w.b.WriteByte('>')
	default:
		fail("a %s has no text; it can be called or looped over (|list makes a list of a generator)", typeName(v))
	}
}

// floatText returns Python's repr of a float; json spells infinities differently.
func floatText(f float64) string {
	switch text := pyfloat.Format(f); text {
	case "NaN":
		return "nan"
	case "Infinity":
		return "inf"
	case "-Infinity":
		return "-inf"
	default:
		return text
	}
}

func (w *reprWriter) list(l *List, depth int) {
	open, end := "[", "]"
	switch l.kind {
	case tupleKind:
		open, end = "(", ")"
		if len(l.items) == 1 {
			end = ",)"
		}
	case rangeKind:
		w.b.WriteString(l.shown)
		return
	case viewKind:
		open, end = "dict_items([", "])"
	}
	w.b.WriteString(open)
	for i, item := range l.items {
		if i > 0 {
			w.b.WriteString(", ")
		}
		w.value(item, depth+1)
	}
	w.b.WriteString(end)
}

func (w *reprWriter) dict(d *Dict, depth int) {
	w.b.WriteByte('{')
	for i, key := range d.keys {
		if i > 0 {
			w.b.WriteString(", ")
		}
		w.value(key, depth+1)
		w.b.WriteString(": ")
		w.value(d.values[i], depth+1)
	}
	w.b.WriteByte('}')
}

// quoted writes a text in quotes, with unprintable characters escaped.
func (w *reprWriter) quoted(s string) {
	quote := '\''
	if strings.ContainsRune(s, '\'') && !strings.ContainsRune(s, '"') {
		quote = '"'
	}
	w.b.WriteRune(quote)
	for _, c := range s {
		switch {
		case c == '\n':
			w.b.WriteString(`\n`)
		case c == '\t':
			w.b.WriteString(`\t`)
		case c == '\r':
			w.b.WriteString(`\r`)
		case c == '\\' || c == quote:
			w.b.WriteByte('\\')
			w.b.WriteRune(c)
		case strconv.IsPrint(c):
			w.b.WriteRune(c)
		case c < 0x100:
			fmt.Fprintf(&w.b, `\x%02x`, c)
		case c < 0x10000:
			fmt.Fprintf(&w.b, `\u%04x`, c)
		default:
			fmt.Fprintf(&w.b, `\U%08x`, c)
		}
	}
	w.b.WriteRune(quote)
}

// tooDeep fails on values nested too deep; a template can nest them without limit.
func tooDeep(depth int) {
	if depth > maxNesting {
		fail("a value is nested more than %d deep", maxNesting)
	}
}
