package chattemplate

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A method of str. All parameters may be given by position; those that Python names may
// also be given by name.
type method struct {
	parameters []string
	call       func(r *run, s string, a bound) any
}

var stringMethods = map[string]method{
	"capitalize":   {nil, func(r *run, s string, _ bound) any { return r.text(capitalize(s)) }},
	"casefold":     {nil, func(r *run, s string, _ bound) any { return r.text(lower(s)) }},
	"center":       {[]string{"width", "fillchar?"}, func(r *run, s string, a bound) any { return r.justify(s, a, '^') }},
	"count":        {[]string{"sub", "start?", "end?"}, count},
	"endswith":     {[]string{"suffix", "start?", "end?"}, func(r *run, s string, a bound) any { return r.affix(s, a, strings.HasSuffix) }},
	"expandtabs":   {[]string{"tabsize?"}, expandTabs},
	"find":         {[]string{"sub", "start?", "end?"}, func(r *run, s string, a bound) any { return r.find(s, a, strings.Index) }},
	"index":        {[]string{"sub", "start?", "end?"}, func(r *run, s string, a bound) any { return r.found(s, a, strings.Index) }},
	"isalnum":      {nil, every(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) })},
	"isalpha":      {nil, every(unicode.IsLetter)},
	"isascii":      {nil, func(_ *run, s string, _ bound) any { return isASCII(s) }},
	"isdecimal":    {nil, every(unicode.IsDigit)},
	"isdigit":      {nil, every(unicode.IsDigit)},
	"isidentifier": {nil, func(_ *run, s string, _ bound) any { return s != "" && nameLength(s) == len(s) }},
	"islower":      {nil, func(_ *run, s string, _ bound) any { return isCase(s, false) }},
	"isnumeric":    {nil, every(unicode.IsNumber)},
	"isspace":      {nil, every(isSpace)},
	"isupper":      {nil, func(_ *run, s string, _ bound) any { return isCase(s, true) }},
	"join":         {[]string{"iterable"}, joinMethod},
	"ljust":        {[]string{"width", "fillchar?"}, func(r *run, s string, a bound) any { return r.justify(s, a, '<') }},
	"lower":        {nil, func(r *run, s string, _ bound) any { return r.text(lower(s)) }},
	"lstrip":       {[]string{"chars?"}, func(_ *run, s string, a bound) any { return trim(s, a.get(0, nil), true, false) }},
	"partition":    {[]string{"sep"}, func(_ *run, s string, a bound) any { return partition(s, a.text(0), strings.Index) }},
	"removeprefix": {[]string{"prefix"}, func(_ *run, s string, a bound) any { return strings.TrimPrefix(s, a.text(0)) }},
	"removesuffix": {[]string{"suffix"}, func(_ *run, s string, a bound) any { return strings.TrimSuffix(s, a.text(0)) }},
	"replace":      {[]string{"old", "new", "count?"}, func(r *run, s string, a bound) any { return r.replace(s, a.text(0), a.text(1), a.get(2, nil)) }},
	"rfind":        {[]string{"sub", "start?", "end?"}, func(r *run, s string, a bound) any { return r.find(s, a, strings.LastIndex) }},
	"rindex":       {[]string{"sub", "start?", "end?"}, func(r *run, s string, a bound) any { return r.found(s, a, strings.LastIndex) }},
	"rjust":        {[]string{"width", "fillchar?"}, func(r *run, s string, a bound) any { return r.justify(s, a, '>') }},
	"rpartition":   {[]string{"sep"}, func(_ *run, s string, a bound) any { return partition(s, a.text(0), strings.LastIndex) }},
	"rsplit":       {[]string{"sep?", "maxsplit?"}, func(r *run, s string, a bound) any { return r.split(s, a, true) }},
	"rstrip":       {[]string{"chars?"}, func(_ *run, s string, a bound) any { return trim(s, a.get(0, nil), false, true) }},
	"split":        {[]string{"sep?", "maxsplit?"}, func(r *run, s string, a bound) any { return r.split(s, a, false) }},
	"splitlines":   {[]string{"keepends?"}, splitLines},
	"startswith":   {[]string{"prefix", "start?", "end?"}, func(r *run, s string, a bound) any { return r.affix(s, a, strings.HasPrefix) }},
	"strip":        {[]string{"chars?"}, func(_ *run, s string, a bound) any { return trim(s, a.get(0, nil), true, true) }},
	"swapcase":     {nil, func(r *run, s string, _ bound) any { return r.text(strings.Map(swapCase, s)) }},
	"title":        {nil, func(r *run, s string, _ bound) any { return r.text(title(s)) }},
	"upper":        {nil, func(r *run, s string, _ bound) any { return r.text(upper(s)) }},
	"zfill":        {[]string{"width"}, zeroFill},
}

// stringMethod returns a method of a text as a value.
func stringMethod(s, name string) (any, bool) {
	if m, ok := stringMethods[name]; ok {
		return function(func(r *run, a values) any {
			r.scan(len(s))
			for _, v := range a.positional {
				r.scan(sizeOf(v))
			}
			return m.call(r, s, a.bind(name, m.parameters...))
		}), true
	}
	switch name {
	case "format":
		return function(func(r *run, a values) any { return r.format(s, a) }), true
	case "encode", "format_map", "isprintable", "istitle", "maketrans", "translate":
		fail("the method %q of texts is not supported", name)
	}
	return nil, false
}

func every(f func(rune) bool) func(*run, string, bound) any {
	return func(_ *run, s string, _ bound) any {
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !f(c) }) < 0
	}
}

// trim removes blanks, or the given characters, at the ends.
func trim(s string, characters any, left, right bool) string {
	drop := isSpace
	switch set := characters.(type) {
	case nil:
	case string:
		drop = func(c rune) bool { return strings.ContainsRune(set, c) }
	default:
		fail("strip arg must be None or str")
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s
}

func (r *run) replace(s, old, by string, count any) string {
	n := -1
	if count != nil {
		n = index(count)
	}
	if grow := len(by) - len(old); grow > 0 {
		found := strings.Count(s, old)
		if n >= 0 {
			found = min(found, n)
		}
		if found > maxMade/grow {
			r.make(maxMade + 1)
		}
		r.make(found * grow)
	}
	r.make(len(s))
	return strings.Replace(s, old, by, n)
}

// window returns the part of s between arguments 1 and 2, start and end, and the number
// of characters before it.
func (r *run) window(s string, a bound) (part string, before int, ok bool) {
	if a.get(1, nil) == nil && a.get(2, nil) == nil {
		return s, 0, true
	}
	bounds := [3]any{a.get(1, nil), a.get(2, nil), nil}
	n := utf8.RuneCountInString(s)
	from, to, _ := sliceRange(n, bounds)
	if first := a.get(1, nil); from > to || first != nil && index(first) > n {
		return "", 0, false
	}
	return r.sliceText(s, bounds), from, true
}

func (r *run) find(s string, a bound, search func(s, part string) int) any {
	part, before, ok := r.window(s, a)
	if !ok {
		return -1
	}
	at := search(part, a.text(0))
	if at < 0 {
		return -1
	}
	return before + utf8.RuneCountInString(part[:at])
}

func (r *run) found(s string, a bound, search func(s, part string) int) any {
	at := r.find(s, a, search)
	if at == -1 {
		fail("substring not found")
	}
	return at
}

func count(r *run, s string, a bound) any {
	part, _, ok := r.window(s, a)
	if !ok {
		return 0
	}
	return strings.Count(part, a.text(0))
}

// affix tests for a prefix or suffix, or for any of a tuple of them.
func (r *run) affix(s string, a bound, has func(s, part string) bool) any {
	part, _, ok := r.window(s, a)
	if !ok {
		return false
	}
	several, isList := a[0].(*List)
	if !isList || several.kind != tupleKind {
		return has(part, a.text(0))
	}
	return slices.ContainsFunc(several.items, func(v any) bool {
		one, ok := v.(string)
		if !ok {
			fail("expected a tuple of texts, not of %s", typeName(v))
		}
		return has(part, one)
	})
}

func joinMethod(r *run, s string, a bound) any {
	var b strings.Builder
	count := 0
	for item := range r.iterate(a[0]) {
		text, ok := item.(string)
		if !ok {
			fail("sequence item %d: expected str instance, %s found", count, typeName(item))
		}
		if count++; count > 1 {
			r.make(len(s))
			b.WriteString(s)
		}
		r.make(len(text))
		b.WriteString(text)
	}
	return b.String()
}

func swapCase(c rune) rune {
	if unicode.IsUpper(c) {
		return unicode.ToLower(c)
	}
	return unicode.ToUpper(c)
}
