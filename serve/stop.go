package serve

import "strings"

// A stopper finds the first of several texts at which an answer stops, in pieces that may
// divide it.
type stopper struct {
	stops []string
	held  string // may be the beginning of a stop
}

// push adds a piece and returns the text that no stop can begin in any more. done reports
// that a stop was found; the text ends before it.
func (s *stopper) push(piece string) (text string, done bool) {
	s.held += piece
	first := -1
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		text, s.held = s.held[:first], ""
		return text, true
	}
	keep := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
			}
		}
	}
	at := len(s.held) - keep
	text, s.held = s.held[:at], s.held[at:]
	return text, false
}

// flush returns the text that is held, at the end of the answer.
func (s *stopper) flush() string {
	text := s.held
	s.held = ""
	return text
}
