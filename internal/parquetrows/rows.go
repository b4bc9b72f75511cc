// Package parquetrows reads the rows of a Parquet file
// (https://parquet.apache.org/docs/file-format) as JSON objects, whatever the file's
// schema: lists are arrays, groups and maps are objects, nulls are null; see rowjson for
// values that JSON lacks.
//
// A file is read one page of each column at a time. It may be hostile: nothing is
// allocated by what it claims alone, beyond the limits of a page.
package parquetrows

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A File is an open Parquet file.
type File struct {
	bytes  io.ReaderAt
	size   int64
	meta   format.FileMetaData
	schema *schema
}

// Open reads the footer of a file of size bytes.
func Open(file io.ReaderAt, size int64) (f *File, err error) {
	defer recoverAsError(&err)
	footer, err := readFooter(file, size)
	if err != nil {
		return nil, err
	}
	f = &File{bytes: file, size: size}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, &f.meta); err != nil {
		return nil, fmt.Errorf("the footer: %w", err)
	}
	f.schema, err = schemaOf(f.meta.Schema)
	return f, err
}

// Rows yields the rows in order. An error ends them and is about the next row.
func (f *File) Rows() iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for i := range f.meta.RowGroups {
			group := &f.meta.RowGroups[i]
			a, err := f.enter(group)
			if err != nil {
				yield(nil, err)
				return
			}
			for range group.NumRows {
				row, err := a.next(f.schema.fields)
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// enter starts reading a row group.
func (f *File) enter(group *format.RowGroup) (*assembler, error) {
	if len(group.Columns) != len(f.schema.leaves) {
		return nil, errors.New("a row group does not have the schema's columns")
	}
	if group.NumRows < 0 {
		return nil, fmt.Errorf("a row group claims %d rows", group.NumRows)
	}
	a := new(assembler)
	for i := range group.Columns {
		c, err := newChunk(f.bytes, f.size, &group.Columns[i].MetaData, f.schema.leaves[i], &a.held)
		if err != nil {
			return nil, err
		}
		a.columns = append(a.columns, c)
	}
	return a, nil
}

// recoverAsError turns a panic into an error: the decoder of footers panics on some
// inconsistent ones.
func recoverAsError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file contradicts itself: %v", p)
	}
}
