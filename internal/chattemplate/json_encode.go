package chattemplate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"qlora/internal/pyfloat"
)

// A jsonWriter implements Python's json.dumps.
type jsonWriter struct {
	run    *run
	b      strings.Builder
	ascii  bool   // escape all but ASCII
	broken bool   // a line for each element, with
	indent string // so much in front of it
	comma  string
	colon  string
	sorted bool
}

func (w *jsonWriter) value(v any, depth int) {
	tooDeep(depth)
	if w.b.Len() > maxShown {
		fail("a value is longer than %d MiB as JSON", maxShown>>20)
	}
	switch x := v.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		w.b.WriteString(strconv.FormatBool(x))
	case int:
		w.b.WriteString(strconv.Itoa(x))
	case bigInt:
		w.b.WriteString(string(x))
	case float64:
		w.b.WriteString(pyfloat.Format(x))
	case string:
		w.quoted(x)
	case *List:
		if x.kind == rangeKind || x.kind == viewKind {
			fail("Object of type %s is not JSON serializable", typeName(x))
		}
		w.group('[', ']', len(x.items), depth, func(i int) { w.value(x.items[i], depth+1) })
	case *Dict:
		order := make([]int, len(x.keys))
		for i := range order {
			order[i] = i
		}
		if w.sorted {
			slices.SortStableFunc(order, func(i, j int) int { return w.run.compare(x.keys[i], x.keys[j]) })
		}
		w.group('{', '}', len(order), depth, func(i int) {
			w.key(x.keys[order[i]])
			w.b.WriteString(w.colon)
			w.value(x.values[order[i]], depth+1)
		})
	default:
		fail("Object of type %s is not JSON serializable", typeName(v))
	}
}

// group writes n elements between brackets.
func (w *jsonWriter) group(open, end byte, n, depth int, element func(i int)) {
	w.b.WriteByte(open)
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.comma)
		}
		w.breakLine(depth + 1)
		element(i)
	}
	if n > 0 {
		w.breakLine(depth)
	}
	w.b.WriteByte(end)
}

func (w *jsonWriter) breakLine(depth int) {
	if w.broken {
		w.b.WriteByte('\n')
		w.b.WriteString(strings.Repeat(w.indent, depth))
	}
}

// key writes a key, which is a string in JSON.
func (w *jsonWriter) key(key any) {
	switch x := key.(type) {
	case string:
		w.quoted(x)
	case nil, bool, int, bigInt, float64:
		w.b.WriteByte('"')
		w.value(x, 0)
		w.b.WriteByte('"')
	default:
		fail("keys must be str, int, float, bool or None, not %s", typeName(key))
	}
}

func (w *jsonWriter) quoted(s string) {
	w.b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			w.b.WriteByte('\\')
			w.b.WriteRune(c)
		case c == '\n':
			w.b.WriteString(`\n`)
		case c == '\r':
			w.b.WriteString(`\r`)
		case c == '\t':
			w.b.WriteString(`\t`)
		case c == '\f':
			w.b.WriteString(`\f`)
		case c == '\b':
			w.b.WriteString(`\b`)
		case c < ' ' || w.ascii && c >= 0x7f && c < 0x10000:
			if c == 0x7f {
				w.b.WriteRune(c)
				continue
			}
			fmt.Fprintf(&w.b, `\u%04x`, c)
		case w.ascii && c >= 0x10000:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&w.b, `\u%04x\u%04x`, high, low)
		default:
			w.b.WriteRune(c)
		}
	}
	w.b.WriteByte('"')
}

// toJSON implements the filter tojson of transformers.
func toJSON(r *run, v any, a bound) any {
	w := jsonWriter{run: r, ascii: a.truth(0, false), comma: ", ", colon: ": ", sorted: a.truth(3, false)}
	switch indent := a.get(1, nil).(type) {
	case nil:
	case string:
		w.broken, w.indent = true, indent
	default:
		n := min(index(indent), maxIndent)
		w.broken, w.indent = true, strings.Repeat(" ", max(0, n))
	}
	if w.broken {
		w.comma = ","
	}
	if parts := a.get(2, nil); parts != nil {
		both := r.elements(parts)
		if len(both) != 2 {
			fail("separators must be two texts: between elements and after keys")
		}
		w.comma, w.colon = r.show(both[0]), r.show(both[1])
	}
	w.value(v, 0)
	return r.text(w.b.String())
}

// maxIndent bounds the indentation, which multiplies the length of a text.
const maxIndent = 64
