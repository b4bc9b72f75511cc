package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// jsonLines reads a JSON value from every line that is not blank.
func jsonLines(from io.Reader) iter.Seq2[record, error] {
	return linesUpTo(from, maxRecord)
}

func linesUpTo(from io.Reader, most int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		lines := bufio.NewReaderSize(from, 1<<16)
		var buffer []byte
		for number := 1; ; number++ {
			line, err := readLine(lines, buffer[:0], most)
			buffer = line
			if err != nil && !errors.Is(err, io.EOF) {
				yield(record{line: number}, err)
				return
			}
			if number == 1 {
				line = bytes.TrimPrefix(line, []byte(utf8Mark))
			}
			line = bytes.Trim(line, " \t\r\n")
			if bytes.IndexByte(line, 0) >= 0 {
				yield(record{line: number}, errNUL)
				return
			}
			own := line
			if len(line) > longLine {
				buffer = nil
			} else {
				own = slices.Clone(line)
			}
			if len(line) > 0 && !yield(record{line: number, json: own}, nil) {
				return
			}
			if errors.Is(err, io.EOF) {
				return
			}
		}
	}
}

// longLine is the length in bytes from which a record takes the buffer of its line, not a
// copy.
const longLine = 1 << 20

var errNUL = errors.New("the file has a NUL byte, so it is not UTF-8 text; convert it")

// readLine appends the next line to buffer. It returns io.EOF with the last one.
func readLine(from *bufio.Reader, buffer []byte, most int) ([]byte, error) {
	for {
		part, err := from.ReadSlice('\n')
		if len(buffer)+len(part) > most {
			return buffer, fmt.Errorf("the line is longer than %d bytes; cut the record into several", most)
		}
		if len(buffer)+len(part) > cap(buffer) {
			// Doubled: while a long line grows, append would leave garbage of several
			// times its length.
			buffer = slices.Grow(buffer, max(cap(buffer), len(part)))
		}
		buffer = append(buffer, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return buffer, err
		}
	}
}
