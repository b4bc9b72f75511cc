package dataset

import (
	"io"
	"iter"

	"qlora/internal/parquetrows"
)

// parquetRows reads the rows of a Parquet file; their numbers replace line numbers.
func parquetRows(from io.ReaderAt, size int64) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		file, err := parquetrows.Open(from, size)
		if err != nil {
			yield(record{}, err)
			return
		}
		number := 0
		for row, err := range file.Rows() {
			number++
			if !yield(record{line: number, json: row}, err) || err != nil {
				return
			}
		}
	}
}
