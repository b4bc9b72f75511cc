package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// decompose returns the full decomposition of s, marks in canonical order (Unicode Standard,
// 3.11).
func decompose(form norm.Form, s string) []change {
	full := norm.NFD
	if form == norm.NFKC || form == norm.NFKD {
		full = norm.NFKD
	}
	changes := make([]change, 0, len(s))
	marks := 0 // where the run of marks at the end of changes begins
	sortMarks := func() {
		slices.SortStableFunc(changes[marks:], func(a, b change) int {
			return combiningClass(a.r) - combiningClass(b.r)
		})
	}
	for _, r := range s {
		delta := 0
		for _, d := range full.String(string(r)) {
			if combiningClass(d) == 0 {
				sortMarks()
				marks = len(changes) + 1
			}
			changes = append(changes, change{d, delta})
			delta = 1
		}
	}
	sortMarks()
	return changes
}

// recompose composes decomposed characters (Unicode Standard, 3.11, D117).
func recompose(in []change) []change {
	out := make([]change, 0, len(in))
	starter := -1  // in out
	lastClass := 0 // of the previous mark; 0 if no mark blocks the starter
	for _, c := range in {
		class := combiningClass(c.r)
		if starter >= 0 && (lastClass == 0 || lastClass < class) {
			if r, ok := compose(out[starter].r, c.r); ok {
				out[starter] = change{r, out[starter].delta + c.delta - 1}
				continue
			}
		}
		out = append(out, c)
		lastClass = class
		if class == 0 {
			starter = len(out) - 1
		}
	}
	return out
}

func compose(a, b rune) (rune, bool) {
	pair := norm.NFC.String(string([]rune{a, b}))
	r, n := utf8.DecodeRuneInString(pair)
	return r, n == len(pair)
}

func combiningClass(r rune) int {
	if r < 0x300 {
		return 0
	}
	return int(norm.NFD.PropertiesString(string(r)).CCC())
}
