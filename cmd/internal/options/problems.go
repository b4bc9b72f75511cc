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

// wrong returns the error of all problems, a line for each, nil if there are none.
func (s *Set) wrong() error { return errors.Join(s.problems...) }
