package options

import (
	"errors"
	"fmt"
)

// problem records a name or value that cannot be used. where is the place that precedes
// the name in err: "--", "run.yaml:3: " or nothing.
func (s *Set) problem(where string, err error) {
	s.problems = append(s.problems, fmt.Errorf("%s%w", where, err))
	if s.current != nil {
		s.current.Refused = append(s.current.Refused, err.Error())
	}
}

// wrong returns the error of all problems, nil if there are none: one as it is, and a
// line for each of several.
func (s *Set) wrong() error {
	switch len(s.problems) {
	case 0:
		return nil
	case 1:
		return s.problems[0]
	}
	lines := make([]error, len(s.problems))
	for i, err := range s.problems {
		lines[i] = fmt.Errorf("  %w", err)
	}
	return fmt.Errorf("%d settings cannot be used:\n%w", len(lines), errors.Join(lines...))
}
