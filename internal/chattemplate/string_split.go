package chattemplate

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// split implements str.split, and str.rsplit if right.
func (r *run) split(s string, a bound, right bool) any {
	most := a.number(1, -1)
	sep := a.get(0, nil)
	if sep == nil {
		return r.texts(splitBlanks(s, most, right))
	}
	by, ok := sep.(string)
	switch {
	case !ok:
		fail("must be str or None, not %s", typeName(sep))
	case by == "":
		fail("empty separator")
	case most < 0:
		return r.texts(strings.Split(s, by))
	case !right:
		return r.texts(strings.SplitN(s, by, min(most, len(s))+1))
	}
	var parts []string
	for ; most > 0; most-- {
		i := strings.LastIndex(s, by)
		if i < 0 {
			break
		}
		parts = append(parts, s[i+len(by):])
		s = s[:i]
	}
	parts = append(parts, s)
	slices.Reverse(parts)
	return r.texts(parts)
}

// texts returns a list of texts.
func (r *run) texts(parts []string) *List {
	items := make([]any, len(parts))
	for i, part := range parts {
		items[i] = part
	}
	return r.list(items)
}

// splitBlanks cuts at runs of blanks, at most most times; -1 for no limit.
func splitBlanks(s string, most int, right bool) []string {
	if most < 0 {
		return strings.FieldsFunc(s, isSpace)
	}
	var parts []string
	if !right {
		s = strings.TrimLeftFunc(s, isSpace)
		for ; most > 0 && s != ""; most-- {
			i := strings.IndexFunc(s, isSpace)
			if i < 0 {
				break
			}
			parts = append(parts, s[:i])
			s = strings.TrimLeftFunc(s[i:], isSpace)
		}
		if s != "" {
			parts = append(parts, s)
		}
		return parts
	}
	s = strings.TrimRightFunc(s, isSpace)
	for ; most > 0 && s != ""; most-- {
		i := strings.LastIndexFunc(s, isSpace)
		if i < 0 {
			break
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		parts = append(parts, s[i+n:])
		s = strings.TrimRightFunc(s[:i], isSpace)
	}
	if s != "" {
		parts = append(parts, s)
	}
	slices.Reverse(parts)
	return parts
}

// splitLines cuts at all of Python's line ends.
func splitLines(r *run, s string, a bound) any {
	keep := a.truth(0, false)
	var lines []string
	for s != "" {
		i := strings.IndexFunc(s, endsLine)
		if i < 0 {
			lines = append(lines, s)
			break
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			lines = append(lines, s[:i+n])
		} else {
			lines = append(lines, s[:i])
		}
		s = s[i+n:]
	}
	return r.texts(lines)
}

func endsLine(c rune) bool {
	return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029
}

// partition returns the text before a separator, the separator, and the text after it.
func partition(s, sep string, search func(s, sep string) int) any {
	if sep == "" {
		fail("empty separator")
	}
	t := &List{kind: tupleKind, items: []any{s, "", ""}}
	switch at := search(s, sep); {
	case at >= 0:
		t.items = []any{s[:at], sep, s[at+len(sep):]}
	case search("ab"+sep+sep, sep) > 2: // from the right: everything is after it
		t.items = []any{"", "", s}
	}
	return t
}

// justify pads to a width with a given character, or with blanks.
func (r *run) justify(s string, a bound, align rune) any {
	fill, ok := a.get(1, " ").(string)
	if !ok || utf8.RuneCountInString(fill) != 1 {
		fail("The fill character must be exactly one character long")
	}
	return r.pad(s, a.number(0, 0), fill, align)
}

// pad fills a text up to a width: < aligns left, > right, ^ centers.
func (r *run) pad(s string, width int, fill string, align rune) string {
	missing := width - utf8.RuneCountInString(s)
	if missing <= 0 {
		return s
	}
	if missing > maxMade/len(fill) {
		r.make(maxMade + 1)
	}
	r.make(len(s) + missing*len(fill))
	left := 0
	switch align {
	case '>':
		left = missing
	case '^':
		left = missing/2 + missing&width&1
	}
	return strings.Repeat(fill, left) + s + strings.Repeat(fill, missing-left)
}

func zeroFill(r *run, s string, a bound) any {
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	return sign + r.pad(s, a.number(0, 0)-len(sign), "0", '>')
}

func expandTabs(r *run, s string, a bound) any {
	size := min(max(0, a.number(0, 8)), maxIndent)
	r.make(len(s) + strings.Count(s, "\t")*size)
	var b strings.Builder
	column := 0
	for _, c := range s {
		switch {
		case c == '\t' && size > 0:
			n := size - column%size
			b.WriteString(strings.Repeat(" ", n))
			column += n
			continue
		case c == '\t':
			continue
		case c == '\n' || c == '\r':
			column = -1
		}
		b.WriteRune(c)
		column++
	}
	return b.String()
}
