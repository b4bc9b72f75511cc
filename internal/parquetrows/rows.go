// Package parquetrows reads the rows of a Parquet file
// (https://parquet.apache.org/docs/file-format) as JSON objects, whatever the file's
// schema: lists are arrays, groups are objects, nulls are null.
//
// It decodes with parquet-go. That library trusts the sizes that a file claims, so they
// are checked here first; its panics become errors.
package parquetrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/bits"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
)

// maxRowValues bounds the values of a column in one row, far above the tokens of a
// sequence.
const maxRowValues = 1 << 21

// A File is an open Parquet file.
type File struct {
	bytes   io.ReaderAt
	size    int64
	parquet *parquet.File
	levels  []levels // of the columns
	columns []column // of the row group being read
	row     parquet.Row
}

// Open reads the footer of a file of size bytes.
func Open(file io.ReaderAt, size int64) (f *File, err error) {
	defer recoverAsError(&err)
	if err := checkFooter(file, size); err != nil {
		return nil, err
	}
	opened, err := parquet.OpenFile(file, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	f = &File{bytes: file, size: size, parquet: opened}
	f.addLevels(opened.Root())
	return f, nil
}

// Rows yields the rows in order. An error ends them and is about the next row.
func (f *File) Rows() iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for i, group := range f.parquet.RowGroups() {
			if err := f.enter(i, group); err != nil {
				yield(nil, err)
				return
			}
			for range group.NumRows() {
				row, err := f.next()
				if !yield(row, err) || err != nil {
					f.leave()
					return
				}
			}
			f.leave()
		}
	}
}

// addLevels appends the levels of the columns below c, in the order of the schema.
func (f *File) addLevels(c *parquet.Column) {
	if c.Leaf() {
		f.levels = append(f.levels, levels{bits.Len(uint(c.MaxRepetitionLevel())), bits.Len(uint(c.MaxDefinitionLevel()))})
	}
	for _, child := range c.Columns() {
		f.addLevels(child)
	}
}

// enter starts reading a row group.
func (f *File) enter(i int, group parquet.RowGroup) (err error) {
	defer recoverAsError(&err)
	if err := checkGroup(f.bytes, f.size, &f.parquet.Metadata().RowGroups[i], f.levels); err != nil {
		return err
	}
	f.columns = nil
	for _, chunk := range group.ColumnChunks() {
		f.columns = append(f.columns, column{pages: chunk.Pages(), buffer: make([]parquet.Value, 256)})
	}
	return nil
}

// next reads a row: of every column the values up to the next one that begins a row,
// assembled by the schema.
func (f *File) next() (object json.RawMessage, err error) {
	defer recoverAsError(&err)
	f.row = f.row[:0]
	for i := range f.columns {
		if f.row, err = f.columns[i].appendRow(f.row); err != nil {
			return nil, err
		}
	}
	var value any
	if err := f.parquet.Schema().Reconstruct(&value, f.row); err != nil {
		return nil, err
	}
	if value, err = jsonValue(value); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

func (f *File) leave() {
	for i := range f.columns {
		f.columns[i].close()
	}
}

// A column is a column of the row group being read.
type column struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader // of page
	buffer []parquet.Value
	ready  []parquet.Value // the unused part of buffer
	done   bool
}

// appendRow appends the column's values in the next row.
func (c *column) appendRow(row parquet.Row) (parquet.Row, error) {
	for n := 0; ; n++ {
		if len(c.ready) == 0 && !c.done {
			if err := c.fill(); err != nil {
				return row, err
			}
		}
		switch {
		case c.done && n == 0:
			return row, errors.New("a column ends before the others do")
		case c.done || n > 0 && c.ready[0].RepetitionLevel() == 0:
			return row, nil
		case n == maxRowValues:
			return row, fmt.Errorf("a list in the row has more than %d values", maxRowValues)
		}
		row = append(row, c.ready[0])
		c.ready = c.ready[1:]
	}
}

// fill reads values, or records that there are none left.
func (c *column) fill() error {
	for {
		if c.values == nil {
			var err error
			if c.page, err = c.pages.ReadPage(); errors.Is(err, io.EOF) {
				c.done = true
				return nil
			} else if err != nil {
				return err
			}
			c.values = c.page.Values()
		}
		n, err := c.values.ReadValues(c.buffer)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil { // end of the page; its values are valid until it is released
			c.values = nil
		}
		if n > 0 {
			c.ready = c.buffer[:n]
			for i := range c.ready {
				c.ready[i] = c.ready[i].Clone()
			}
		}
		if c.values == nil {
			parquet.Release(c.page)
			c.page = nil
		}
		if n > 0 {
			return nil
		}
	}
}

func (c *column) close() {
	if c.page != nil {
		parquet.Release(c.page)
	}
	c.pages.Close() // the source is read-only
}

// jsonValue returns value as JSON can hold it: null for a float that is no finite number.
// It refuses text that is not UTF-8, which encoding/json would silently replace.
func jsonValue(value any) (_ any, err error) {
	switch v := value.(type) {
	case map[string]any:
		for name, field := range v {
			if v[name], err = jsonValue(field); err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
		}
	case []any:
		for i, element := range v {
			if v[i], err = jsonValue(element); err != nil {
				return nil, err
			}
		}
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("the text is not UTF-8")
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, nil
		}
	case float32:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, nil
		}
	}
	return value, nil
}

// recoverAsError turns a panic into an error: parquet-go panics on some inconsistent
// files.
func recoverAsError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file contradicts itself: %v", p)
	}
}
