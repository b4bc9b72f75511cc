package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
)

// peeked is the number of bytes at the beginning of a JSON file that tell its layout.
const peeked = 1 << 16

// blanks are the bytes that JSON allows between values.
const blanks = " \t\r\n"

// jsonRecords reads the records of a .json or .jsonl file, whose names do not tell how
// they are laid out: as one array, as an object with the array in a field, as objects
// over several lines, or as one record a line.
func jsonRecords(from io.Reader) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		in := bufio.NewReaderSize(from, peeked)
		head, line := skipBlank(in)
		var records iter.Seq2[record, error]
		switch array := dataArray(head); {
		case len(head) > 0 && head[0] == '[':
			records = jsonArray(in)
		case array > 0:
			line += bytes.Count(head[:array], []byte{'\n'})
			_, _ = in.Discard(array) // just peeked
			records = (&arrayScanner{from: in, line: 1, inside: true}).records
		case overLines(head):
			records = jsonObjects(in)
		default:
			records = jsonLines(in)
		}
		for r, err := range records {
			r.line += line
			if !yield(r, err) {
				return
			}
		}
	}
}

// skipBlank skips the UTF-8 mark and blank bytes before the first value. It returns the
// bytes that follow, up to peeked, and the number of lines skipped. A read error is left
// to the reader of the records.
func skipBlank(in *bufio.Reader) (head []byte, lines int) {
	if mark, _ := in.Peek(len(utf8Mark)); string(mark) == utf8Mark {
		_, _ = in.Discard(len(utf8Mark)) // just peeked
	}
	for {
		head, _ = in.Peek(peeked)
		rest := bytes.TrimLeft(head, blanks)
		skipped := len(head) - len(rest)
		if skipped == 0 {
			return head, lines
		}
		lines += bytes.Count(head[:skipped], []byte{'\n'})
		_, _ = in.Discard(skipped) // just peeked
	}
}

// arrayNames are the fields under which a file's one object holds its records.
var arrayNames = []string{"data", "rows", "records", "examples"}

// dataArray returns the length of head up to the first element of an array of objects
// that the file's one object holds under one of arrayNames, or 0 if there is none. A line that is a
// record of its own, followed by others, is none, even if it has such a field.
func dataArray(head []byte) int {
	first, rest, _ := bytes.Cut(head, []byte{'\n'})
	if len(bytes.Trim(rest, blanks)) > 0 && json.Valid(first) {
		return 0
	}
	d := json.NewDecoder(bytes.NewReader(head))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return 0
		}
		if text, ok := name.(string); !ok || !slices.Contains(arrayNames, text) {
			var value json.RawMessage
			if d.Decode(&value) != nil {
				return 0
			}
			continue
		}
		if t, err := d.Token(); err != nil || t != json.Delim('[') {
			return 0
		}
		at := int(d.InputOffset())
		if next := bytes.TrimLeft(head[at:], blanks); len(next) > 0 && (next[0] == '{' || next[0] == ']') {
			return at
		}
		return 0
	}
	return 0
}

// overLines reports whether the first line begins an object that goes on in the next
// one: it breaks after a bracket, a colon or a comma. A line that breaks elsewhere is a
// damaged record.
func overLines(head []byte) bool {
	first, _, more := bytes.Cut(head, []byte{'\n'})
	first = bytes.Trim(first, blanks)
	if !more || len(first) == 0 || first[0] != '{' || bytes.IndexByte([]byte("{[,:"), first[len(first)-1]) < 0 {
		return false
	}
	var end nesting
	for _, c := range first {
		end.pass(c)
	}
	return !end.quoted
}

// jsonObjects reads objects that follow each other, each over several lines. One that
// the file's end cuts off is yielded as it is; parsing refuses it.
func jsonObjects(from *bufio.Reader) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		s := arrayScanner{from: from, line: 1, loose: true}
		for {
			c, err := s.skip()
			if errors.Is(err, io.EOF) {
				return
			}
			s.element, s.start = s.element[:0], s.line
			if err == nil {
				err = s.rest(c)
			}
			if err != nil && !errors.Is(err, errArrayCut) {
				yield(record{line: s.line}, err)
				return
			}
			cut := err != nil
			if !yield(record{line: s.start, json: slices.Clone(s.element)}, nil) || cut {
				return
			}
		}
	}
}
