package dataset

import (
	"io"
	"iter"

	"qlora/internal/arrowrows"
)

// arrowRows reads the rows of Arrow IPC data; their numbers replace line numbers.
func arrowRows(from io.ReaderAt, size int64) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		number := 0
		for row, err := range arrowrows.Rows(from, size) {
			number++
			if !yield(record{line: number, json: row}, err) || err != nil {
				return
			}
		}
	}
}
