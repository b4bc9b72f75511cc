package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// jsonArray reads the elements of one JSON array. It only finds where elements end;
// parsing checks them later.
func jsonArray(from io.Reader) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		s := arrayScanner{from: bufio.NewReaderSize(from, 1<<16), line: 1}
		if err := s.open(); err != nil {
			yield(record{line: s.line}, err)
			return
		}
		s.records(yield)
	}
}

// An arrayScanner scans the bytes of an array and counts lines.
type arrayScanner struct {
	from    *bufio.Reader
	line    int    // of the last byte read
	element []byte // the last element, up to maxRecord bytes
	start   int    // line where it begins
	inside  bool   // the array is a field of an object
	loose   bool   // elements are objects that follow each other, in no array
}

// records yields the elements of the array, which is open.
func (s *arrayScanner) records(yield func(record, error) bool) {
	for first := true; ; first = false {
		more, err := s.next(first)
		if err != nil {
			yield(record{line: s.line}, err)
			return
		}
		if !more || !yield(record{line: s.start, json: slices.Clone(s.element)}, nil) {
			return
		}
	}
}

var errArrayCut = errors.New("the file ends inside its array; it is truncated, so write or download it again")

// open reads up to the array's beginning.
func (s *arrayScanner) open() error {
	if mark, _ := s.from.Peek(len(utf8Mark)); string(mark) == utf8Mark {
		if _, err := s.from.Discard(len(utf8Mark)); err != nil {
			return err
		}
	}
	c, err := s.skip()
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the file is empty; it must hold an array of records, [{…}, …]")
	case err != nil:
		return err
	case c == 0:
		return errNUL
	case c != '[':
		return fmt.Errorf("the file begins with %q, not with an array, [{…}, …]", c)
	}
	return nil
}

// next finds the next element, or the array's end.
func (s *arrayScanner) next(first bool) (bool, error) {
	c, err := s.skip()
	if err != nil {
		return false, cutOff(err)
	}
	if c == ']' {
		if s.inside {
			if err := s.close(); err != nil {
				return false, err
			}
		}
		switch c, err := s.skip(); {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		default:
			return false, fmt.Errorf("found %q after the array's end; a file holds one array", c)
		}
	}
	if !first {
		if c != ',' {
			return false, fmt.Errorf("found %q after a record, where a comma or the array's end must be", c)
		}
		if c, err = s.skip(); err != nil {
			return false, cutOff(err)
		}
	}
	s.element, s.start = s.element[:0], s.line
	return true, s.rest(c)
}

// rest reads an element from its first byte c to its end; the comma or bracket after it
// stays unread.
func (s *arrayScanner) rest(c byte) error {
	var at nesting
	for {
		if c == 0 {
			return errNUL
		}
		if at.pass(c); at.depth < 0 {
			return fmt.Errorf("found %q where a record must be; remove the comma before it", c)
		}
		if len(s.element) == maxRecord {
			return fmt.Errorf("the record that begins in line %d is longer than %d bytes; cut it into several", s.start, maxRecord)
		}
		s.element = append(s.element, c)
		if at.depth == 0 && !at.quoted {
			if s.loose && (c == '}' || c == ']') {
				return nil
			}
			peek, err := s.from.Peek(1)
			if err != nil {
				return cutOff(err)
			}
			if peek[0] == ',' || peek[0] == ']' {
				return nil
			}
		}
		var err error
		if c, err = s.read(); err != nil {
			return cutOff(err)
		}
	}
}

// close skips the rest of the object that holds the array.
func (s *arrayScanner) close() error {
	for at := (nesting{depth: 1}); at.depth > 0; {
		c, err := s.read()
		switch {
		case err != nil:
			return cutOff(err)
		case c == 0:
			return errNUL
		}
		at.pass(c)
	}
	return nil
}

// A nesting is a place in JSON text: how many brackets are open, and whether a string is.
type nesting struct {
	depth           int
	quoted, escaped bool
}

// pass moves the place past a byte.
func (n *nesting) pass(c byte) {
	switch {
	case n.escaped:
		n.escaped = false
	case n.quoted:
		n.quoted, n.escaped = c != '"', c == '\\'
	case c == '"':
		n.quoted = true
	case c == '{' || c == '[':
		n.depth++
	case c == '}' || c == ']':
		n.depth--
	}
}

// skip returns the next byte that is not blank.
func (s *arrayScanner) skip() (byte, error) {
	for {
		c, err := s.read()
		if err != nil || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, err
		}
	}
}

func (s *arrayScanner) read() (byte, error) {
	c, err := s.from.ReadByte()
	if err == nil && c == '\n' {
		s.line++
	}
	return c, err
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return errArrayCut
	}
	return err
}
