package chattemplate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Python's case conversions follow Unicode's full mappings, in which a letter may become
// several; package strings has the simple ones.

func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return cases.Upper(language.Und).String(s)
}

func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return cases.Lower(language.Und).String(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// capitalize implements str.capitalize: the first letter upper case, the others lower.
func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return titleLetter(s[:n]) + lower(s[n:])
}

// titleLetter returns the title case of a letter.
func titleLetter(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	if up := upper(s); utf8.RuneCountInString(up) > 1 {
		return titleSpecial(up)
	}
	return strings.ToTitle(s)
}

// titleSpecial returns the title case of a letter that maps to several: only the first
// is upper case.
func titleSpecial(up string) string {
	_, n := utf8.DecodeRuneInString(up)
	return up[:n] + lower(up[n:])
}

// title implements str.title: an upper-case letter after every non-letter.
func title(s string) string {
	var b strings.Builder
	inWord := false
	for _, c := range s {
		switch cased := isCased(c); {
		case !cased:
			b.WriteRune(c)
			inWord = false
			continue
		case inWord:
			b.WriteString(lower(string(c)))
		default:
			b.WriteString(titleLetter(string(c)))
		}
		inWord = true
	}
	return b.String()
}

// titleFilter implements jinja2's title: words begin after blanks, hyphens and brackets.
func titleFilter(s string) string {
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, beginsWord)
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			_, first := utf8.DecodeRuneInString(s)
			b.WriteString(upper(s[:first]))
			b.WriteString(lower(s[first:n]))
		}
		rest := strings.TrimLeftFunc(s[n:], beginsWord)
		b.WriteString(s[n : len(s)-len(rest)])
		s = rest
	}
	return b.String()
}

func beginsWord(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) }

func notWord(c rune) bool { return c != '_' && !unicode.IsLetter(c) && !unicode.IsNumber(c) }

func isCased(c rune) bool {
	return unicode.IsUpper(c) || unicode.IsLower(c) || unicode.IsTitle(c) || unicode.Is(unicode.Other_Lowercase, c) || unicode.Is(unicode.Other_Uppercase, c)
}

// isCase implements str.isupper and str.islower: it reports whether s has letters and
// all have the case.
func isCase(s string, up bool) bool {
	letters := false
	for _, c := range s {
		if !isCased(c) {
			continue
		}
		letters = true
		if isUp := unicode.IsUpper(c) || unicode.Is(unicode.Other_Uppercase, c); isUp != up || unicode.IsTitle(c) {
			return false
		}
	}
	return letters
}
