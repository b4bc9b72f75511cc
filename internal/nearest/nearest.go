// Package nearest finds the intended name of a misspelled one.
package nearest

import "strings"

// Name returns the name with the fewest edits from wrong, or "" if none is close enough.
func Name(wrong string, names []string) string {
	best, least := "", max(3, len(wrong)/2)
	for _, name := range names {
		d := edits(wrong, name)
		// lora_rank is far from lora_r by edits, but one begins with the other.
		if len(wrong) >= 3 && (strings.HasPrefix(wrong, name) || strings.HasPrefix(name, wrong)) {
			d = min(d, 1)
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// edits returns the Levenshtein distance in bytes of the two strings' prefixes.
func edits(a, b string) int {
	const longest = 64
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
