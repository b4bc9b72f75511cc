package vocabulary

import (
	"math"
	"unicode/utf8"
)

// unreachable returns a token of the model that its merges do not make of its characters, if
// there is one. Without such tokens ignore_merges changes nothing.
func (w *writer) unreachable(pairs [][2]string) (string, bool) {
	rank := make(map[[2]string]int, len(pairs))
	for i, p := range pairs {
		rank[p] = i
	}
	var parts []string
	for id, name := range w.v.Tokens {
		if w.v.Types[id] != Normal {
			continue
		}
		parts = parts[:0]
		for at := 0; at < len(name); {
			_, n := utf8.DecodeRuneInString(name[at:])
			parts = append(parts, name[at:at+n])
			at += n
		}
		for len(parts) > 1 {
			best, at := math.MaxInt, -1
			for i := range len(parts) - 1 {
				if r, ok := rank[[2]string{parts[i], parts[i+1]}]; ok && r < best {
					best, at = r, i
				}
			}
			if at < 0 {
				return name, true
			}
			parts[at] += parts[at+1]
			parts = append(parts[:at+1], parts[at+2:]...)
		}
	}
	return "", false
}
