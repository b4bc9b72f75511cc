package chattemplate

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// A filter follows |. Its parameters are those of jinja2's filter, without the value; a
// filter without parameters reads its arguments itself.
type filter struct {
	parameters []string
	apply      func(r *run, v any, a bound) any
}

// filters holds the filters of one value; sequenceFilters holds those of sequences.
var filters = map[string]filter{
	"abs":         {nil, absolute},
	"attr":        {[]string{"name"}, attributeFilter},
	"capitalize":  {nil, func(r *run, v any, _ bound) any { return r.text(capitalize(r.show(v))) }},
	"center":      {[]string{"width?"}, func(r *run, v any, a bound) any { return r.pad(r.show(v), a.number(0, 80), " ", '^') }},
	"d":           {[]string{"default_value?", "boolean?"}, fallback},
	"default":     {[]string{"default_value?", "boolean?"}, fallback},
	"e":           {nil, escapeHTML},
	"escape":      {nil, escapeHTML},
	"float":       {[]string{"default?"}, toFloat},
	"forceescape": {nil, escapeHTML},
	"indent":      {[]string{"width?", "first?", "blank?"}, indent},
	"int":         {[]string{"default?", "base?"}, toInt},
	"lower":       {nil, func(r *run, v any, _ bound) any { return r.text(lower(r.show(v))) }},
	"replace":     {[]string{"old", "new", "count?"}, replaceFilter},
	"round":       {[]string{"precision?", "method?"}, round},
	// jinja2 escapes text joined to a safe text by +; here nothing is escaped
	// automatically.
	"safe":   {nil, func(r *run, v any, _ bound) any { return r.show(v) }},
	"string": {nil, func(r *run, v any, _ bound) any { return r.show(v) }},
	"title":  {nil, func(r *run, v any, _ bound) any { return r.text(titleFilter(r.show(v))) }},
	"tojson": {[]string{"ensure_ascii?", "indent?", "separators?", "sort_keys?"}, toJSON},
	"trim": {[]string{"chars?"}, func(r *run, v any, a bound) any {
		return trim(r.show(v), a.get(0, nil), true, true)
	}},
	"upper":     {nil, func(r *run, v any, _ bound) any { return r.text(upper(r.show(v))) }},
	"wordcount": {nil, func(r *run, v any, _ bound) any { return len(strings.FieldsFunc(r.show(v), notWord)) }},
}

// filter runs the filter called name.
func (r *run) filter(name string, v any, a values) any {
	r.step()
	r.scan(sizeOf(v))
	if f, ok := filters[name]; ok {
		return f.apply(r, v, a.bind(name, f.parameters...))
	}
	if f, ok := sequenceFilters[name]; ok {
		return f.apply(r, v, a.bind(name, f.parameters...))
	}
	if f, ok := lazyFilters[name]; ok {
		return f(r, v, a)
	}
	if name == "format" {
		return r.percent(r.show(v), formatArguments(a))
	}
	fail("filter %q is not supported", name)
	return nil
}

func absolute(_ *run, v any, _ bound) any {
	if i, ok := integer(v); ok {
		return max(i, -i)
	}
	f, ok := v.(float64)
	if !ok {
		fail("bad operand type for abs(): '%s'", typeName(v))
	}
	return math.Abs(f)
}

// attributeFilter looks up attributes only, not elements.
func attributeFilter(r *run, v any, a bound) any {
	name := r.show(a[0])
	if value, ok := r.member(v, name); ok {
		return value
	}
	return noAttribute(v, name)
}

func fallback(_ *run, v any, a bound) any {
	if _, ok := v.(undefined); ok || a.truth(1, false) && !truth(v) {
		return a.get(0, "")
	}
	return v
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

func escapeHTML(r *run, v any, _ bound) any {
	return r.text(htmlEscapes.Replace(r.show(v)))
}

func toFloat(_ *run, v any, a bound) any {
	switch x := v.(type) {
	case undefined:
		fail("%s", x.message())
	case string:
		if f, err := strconv.ParseFloat(strings.TrimFunc(strings.ReplaceAll(x, "_", ""), isSpace), 64); err == nil {
			return f
		}
		return a.get(0, 0.0)
	}
	if f, ok := number(v); ok {
		return f
	}
	return a.get(0, 0.0)
}

func toInt(_ *run, v any, a bound) any {
	switch x := v.(type) {
	case undefined:
		fail("%s", x.message())
	case bigInt:
		return x
	case float64:
		if math.Abs(x) < 1<<53 {
			return int(x)
		}
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return a.get(0, 0)
		}
		whole, _ := big.NewFloat(x).Int(nil)
		return bigInt(whole.String())
	case string:
		return textToInt(strings.TrimFunc(x, isSpace), a)
	}
	if i, ok := integer(v); ok {
		return i
	}
	return a.get(0, 0)
}

func textToInt(s string, a bound) any {
	base := a.number(1, 10)
	if base < 2 || base > 36 {
		base = 10
	}
	digits := strings.ReplaceAll(s, "_", "")
	if base == 16 {
		digits = strings.TrimPrefix(strings.ToLower(digits), "0x")
	}
	if i, err := strconv.ParseInt(digits, base, 64); err == nil {
		return int(i)
	}
	if f, err := strconv.ParseFloat(digits, 64); err == nil && math.Abs(f) < 1<<53 {
		return int(f)
	}
	return a.get(0, 0)
}

func indent(r *run, v any, a bound) any {
	s := r.show(v)
	by := ""
	switch width := a.get(0, 4).(type) {
	case string:
		by = width
	default:
		by = strings.Repeat(" ", min(max(0, index(width)), maxIndent))
	}
	first, blank := a.truth(1, false), a.truth(2, false)
	lines := strings.Split(s+"\n", "\n")
	lines = lines[:len(lines)-1]
	r.make(len(s) + len(lines)*len(by))
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		if (i > 0 || first) && (line != "" || blank || i == 0) {
			b.WriteString(by)
		}
		b.WriteString(line)
	}
	return b.String()
}

func replaceFilter(r *run, v any, a bound) any {
	return r.replace(r.show(v), r.show(a[0]), r.show(a[1]), a.get(2, nil))
}

// round implements Python's round for method common, which keeps integers.
func round(_ *run, v any, a bound) any {
	f, ok := number(v)
	if !ok {
		fail("a %s cannot be rounded", typeName(v))
	}
	precision := a.number(0, 0)
	if precision < -300 || precision > 300 {
		fail("a number cannot be rounded to %d digits", precision)
	}
	switch method := a.get(1, "common"); method {
	case "common":
		if i, ok := integer(v); ok && precision >= 0 {
			return i
		}
		if precision >= 0 {
			rounded, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
			return rounded
		}
		scale := math.Pow(10, float64(-precision))
		f = math.RoundToEven(f/scale) * scale
		if _, ok := integer(v); ok {
			return int(f)
		}
		return f
	case "ceil":
		return math.Ceil(f*math.Pow(10, float64(precision))) / math.Pow(10, float64(precision))
	case "floor":
		return math.Floor(f*math.Pow(10, float64(precision))) / math.Pow(10, float64(precision))
	}
	fail("method must be common, ceil or floor")
	return nil
}
