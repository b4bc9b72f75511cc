package tokenizer

import "fmt"

// split cuts a piece at the matches. The behavior decides about a match: "Isolated" (a separate
// piece), "Removed", "MergedWithPrevious", "MergedWithNext", or "Contiguous" (neighbouring
// matches form one piece). With invert, matches and the text between them swap roles.
func split(match matcher, behavior string, invert bool) (preTokenizer, error) {
	join, ok := behaviors[behavior]
	if !ok {
		return nil, fmt.Errorf("behavior %q is unknown", behavior)
	}
	return func(p piece, yield func(piece)) {
		var parts []part
		last := 0
		match(p.s, func(lo, hi int) {
			if lo > last {
				parts = append(parts, part{last, lo, invert})
			}
			parts = append(parts, part{lo, hi, !invert})
			last = hi
		})
		if last < len(p.s) {
			parts = append(parts, part{last, len(p.s), invert})
		}
		for i := 0; i < len(parts); {
			n := 1
			for i+n < len(parts) && join(parts[i:i+n], parts[i+n]) {
				n++
			}
			if behavior != "Removed" || !parts[i].hit {
				yield(p.slice(parts[i].lo, parts[i+n-1].hi))
			}
			i += n
		}
	}, nil
}

// A part is a match or the text between two matches.
type part struct {
	lo, hi int
	hit    bool
}

// behaviors report whether next belongs to the piece that the parts so far form.
var behaviors = map[string]func(sofar []part, next part) bool{
	"Isolated": func([]part, part) bool { return false },
	"Removed":  func([]part, part) bool { return false },
	"MergedWithPrevious": func(sofar []part, next part) bool {
		return next.hit && len(sofar) == 1 && !sofar[0].hit
	},
	"MergedWithNext": func(sofar []part, next part) bool {
		return !next.hit && len(sofar) == 1 && sofar[0].hit
	},
	"Contiguous": func(sofar []part, next part) bool { return next.hit == sofar[0].hit },
}
