// Package nearest finds the intended name of a misspelled one.
package nearest

import "strings"

// Name returns the name of which wrong is a plausible misspelling, or "": one edit in five
// letters, a letter too few or too many in a short name, or the same words abbreviated.
func Name(wrong string, names []string) string {
	best, least := "", len(wrong)/5+1
	for _, name := range names {
		d := edits(wrong, name)
		if short := len(wrong) < 5; short && d == 1 && len(wrong) > 2 && (len(wrong) != len(name) || swapped(wrong, name)) {
			d = 0 // bits is not meant to be bias
		}
		if abbreviates(wrong, name) {
			d = 0
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// swapped reports whether the names differ only in the order of two letters.
func swapped(a, b string) bool {
	return len(a) == len(b) && strings.Trim(a, b) == "" && strings.Trim(b, a) == ""
}

// abbreviates reports whether each word of wrong is the beginning of one of name's, in
// order.
func abbreviates(wrong, name string) bool {
	words, whole := strings.Split(wrong, "_"), strings.Split(name, "_")
	if len(words) != len(whole) || len(words) < 2 {
		return false
	}
	for i, word := range words {
		if len(word) < 3 && word != whole[i] || !strings.HasPrefix(whole[i], word) {
			return false
		}
	}
	return true
}

// edits returns the number of letters to insert, delete, replace or swap with the next one
// that turns a into b. It looks at the first 64 bytes.
func edits(a, b string) int {
	const longest = 64
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := last[j]
			if a[i] != b[j] {
				cost++
			}
			row[j+1] = min(cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
