package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"
)

// maxCells bounds the columns of a table.
const maxCells = 1 << 12

// csvRows reads a table whose first row names the fields (RFC 4180), as pandas does: a
// line break in a quoted cell is kept, blank lines are skipped, and a quote inside an
// unquoted cell is a character. Cells stay texts, also NA or 007.
//
// A cell that is a JSON array or object can be read as JSON, so that a table can hold
// token ids or messages.
func csvRows(comma byte) func(io.Reader) iter.Seq2[record, error] {
	return func(from io.Reader) iter.Seq2[record, error] {
		return func(yield func(record, error) bool) {
			s := tableScanner{from: bufio.NewReaderSize(from, 1<<16), line: 1}
			if mark, _ := s.from.Peek(len(utf8Mark)); string(mark) == utf8Mark {
				_, _ = s.from.Discard(len(utf8Mark)) // just peeked
			}
			s.comma = s.separator(comma)
			var names []string
			for {
				cells, err := s.row()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					yield(record{line: s.line}, err)
					return
				}
				if names == nil {
					if names, err = columnNames(cells); err != nil {
						yield(record{line: s.start}, err)
						return
					}
					continue
				}
				r, err := tableRecord(names, cells)
				r.line, r.fault = s.start, err
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// separator returns the byte between cells: the usual one, or if the first row has none,
// a semicolon or a tab that it has, as spreadsheets write where the comma is decimal.
func (s *tableScanner) separator(usual byte) byte {
	head, _ := s.from.Peek(s.from.Size())
	found, quoted := usual, false
	for _, c := range bytes.TrimLeft(head, "\r\n") {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == usual:
			return usual
		case c == '\n' || c == '\r':
			return found
		case (c == ';' || c == '\t') && found == usual:
			found = c
		}
	}
	return found
}

// columnNames returns the fields of the first row. A column without a name, such as
// pandas' index, is ignored.
func columnNames(cells []string) ([]string, error) {
	seen := map[string]bool{"": false}
	for i, name := range cells {
		name = strings.TrimSpace(name)
		if !utf8.ValidString(name) {
			return nil, errNotUTF8
		}
		if seen[name] {
			return nil, fmt.Errorf("two columns are named %q; the first row must name the fields", shown([]byte(name)))
		}
		cells[i] = strings.Clone(name)
		seen[name] = name != ""
	}
	return cells, nil
}

func tableRecord(names, cells []string) (record, error) {
	if len(cells) != len(names) {
		return record{}, advise("the row has %d cells, but the first row names %d; a cell with a line break, a quote or the separator in it must be quoted", len(cells), len(names))
	}
	r := record{texts: make(map[string]string, len(cells))}
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			return record{}, errNotUTF8
		}
		if names[i] == "" {
			continue
		}
		r.texts[names[i]] = cell
		if trimmed := strings.TrimSpace(cell); trimmed != "" && (trimmed[0] == '[' || trimmed[0] == '{') && json.Valid([]byte(trimmed)) {
			if r.fields == nil {
				r.fields = map[string]json.RawMessage{}
			}
			r.fields[names[i]] = json.RawMessage(trimmed)
		}
	}
	return r, nil
}

// A tableScanner scans the bytes of a table and counts lines.
type tableScanner struct {
	from  *bufio.Reader
	comma byte
	line  int // of the next byte
	start int // line where the row begins
	bytes int // of the row
	cell  []byte
}

// row returns the next row that is not blank, or io.EOF.
func (s *tableScanner) row() ([]string, error) {
	c, err := s.read()
	for err == nil && (c == '\n' || c == '\r') {
		c, err = s.read()
	}
	if err != nil {
		return nil, err
	}
	s.start, s.bytes = s.line, 0
	var cells []string
	for {
		end, err := s.readCell(c)
		if err != nil {
			return nil, err
		}
		if cells = append(cells, string(s.cell)); len(cells) > maxCells {
			return nil, fmt.Errorf("the row has more than %d cells", maxCells)
		}
		if end {
			return cells, nil
		}
		if c, err = s.read(); errors.Is(err, io.EOF) {
			return append(cells, ""), nil // the file ends after a separator
		} else if err != nil {
			return nil, err
		}
	}
}

// readCell reads a cell from its first byte c through its terminator, and reports
// whether the row ends there too.
func (s *tableScanner) readCell(c byte) (end bool, err error) {
	s.cell = s.cell[:0]
	if c == '"' {
		if c, err = s.quoted(); errors.Is(err, io.EOF) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		if c != s.comma && c != '\n' && c != '\r' {
			return false, fmt.Errorf("found %q after the closing quote of a cell; double a quote inside a quoted cell", c)
		}
	}
	for {
		switch c {
		case s.comma:
			return false, nil
		case '\n':
			return true, nil
		case '\r':
			if next, _ := s.from.Peek(1); len(next) == 1 && next[0] == '\n' {
				_, err = s.read()
			}
			return true, err
		}
		if err := s.keep(c); err != nil {
			return false, err
		}
		if c, err = s.read(); errors.Is(err, io.EOF) {
			return true, nil
		} else if err != nil {
			return false, err
		}
	}
}

// quoted reads a cell after its opening quote, and returns the byte after its closing
// one.
func (s *tableScanner) quoted() (byte, error) {
	from := s.line
	for {
		c, err := s.read()
		if errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("the opening quote in line %d has no closing quote", from)
		}
		if err != nil {
			return 0, err
		}
		if c == '"' {
			if c, err = s.read(); err != nil || c != '"' {
				return c, err
			}
		}
		if err := s.keep(c); err != nil {
			return 0, err
		}
	}
}

func (s *tableScanner) keep(c byte) error {
	if s.bytes == maxRecord {
		return fmt.Errorf("the row that begins in line %d is longer than %d bytes; cut the record into several", s.start, maxRecord)
	}
	s.bytes++
	s.cell = append(s.cell, c)
	return nil
}

func (s *tableScanner) read() (byte, error) {
	c, err := s.from.ReadByte()
	switch {
	case err != nil:
		return 0, err
	case c == 0:
		return 0, errNUL
	case c == '\n':
		s.line++
	case c == '\r':
		if next, _ := s.from.Peek(1); len(next) == 0 || next[0] != '\n' {
			s.line++
		}
	}
	return c, nil
}
