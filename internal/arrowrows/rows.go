// Package arrowrows reads the rows of Arrow IPC data
// (https://arrow.apache.org/docs/format/Columnar.html), streams as well as files, as
// JSON objects: lists are arrays, structs and maps are objects, dictionary codes are
// their values; see rowjson for values that JSON lacks.
//
// One record batch is in memory at a time. Data may be hostile: allocation is bounded,
// and arrow-go's panics become errors.
package arrowrows

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"qlora/internal/rowjson"
)

const (
	fileMagic    = "ARROW1"
	featherMagic = "FEA1"

	// maxMetadata bounds the description of a batch or of the schema in bytes.
	maxMetadata = 16 << 20
)

var (
	errFeather1  = errors.New("the file has version 1 of the Feather format; write it again with pyarrow.feather.write_feather")
	errNotArrow  = errors.New("the file is not Arrow IPC, despite its name; it has another format or is truncated, so download or save it again")
	errTruncated = errors.New("the file is truncated: download or save it again")
	errDamaged   = errors.New("the file is damaged: a batch of its rows cannot be read")
)

// Rows yields the rows of size bytes of data in order. An error ends them and is about
// the next row.
func Rows(data io.ReaderAt, size int64) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		r := reader{memory: &limited{most: maxBatch(size)}}
		if err := guard(func() error { return r.open(data, size) }); err != nil {
			yield(nil, err)
			return
		}
		defer r.stream.Release()
		for {
			var batch arrow.RecordBatch
			err := guard(func() (err error) {
				batch, err = r.next()
				return err
			})
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for row := range int(batch.NumRows()) {
				var text []byte
				err := guard(func() (err error) {
					text, err = appendRow(nil, batch, row)
					return err
				})
				if !yield(text, err) || err != nil {
					return
				}
			}
		}
	}
}

// A reader reads the record batches of a stream.
type reader struct {
	memory *limited
	stream *ipc.Reader
}

// open reads the schema. A file is a stream between two magics, with an index after it.
func (r *reader) open(data io.ReaderAt, size int64) error {
	magic := make([]byte, min(size, int64(len(fileMagic))))
	if _, err := data.ReadAt(magic, 0); err != nil && size > 0 {
		return err
	}
	from, most := int64(0), size
	switch {
	case size == 0:
		return errors.New("the file is empty")
	case string(magic[:min(len(magic), len(featherMagic))]) == featherMagic:
		return errFeather1
	case string(magic) == fileMagic:
		const padded, footer = 8, 4 + int64(len(fileMagic))
		if _, err := data.ReadAt(magic, max(0, size-int64(len(magic)))); err != nil || size < padded+footer || string(magic) != fileMagic {
			return errTruncated
		}
		from, most = padded, size-padded-footer
	}
	section := io.NewSectionReader(data, from, most)
	if err := verify(section, most); err != nil {
		return err
	}
	stream, err := ipc.NewReader(section, ipc.WithAllocator(r.memory), ipc.WithBodySizeLimit(size), ipc.WithMetadataSizeLimit(maxMetadata))
	r.stream = stream
	return fault(err, errNotArrow)
}

// next returns the next batch, or io.EOF. It is valid until the call after it.
func (r *reader) next() (arrow.RecordBatch, error) {
	r.memory.used = 0
	if !r.stream.Next() {
		return nil, cmp.Or(fault(r.stream.Err(), errDamaged), io.EOF)
	}
	return r.stream.RecordBatch(), nil
}

// fault returns an error of arrow-go's as one for the reader of the message.
func fault(err, other error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errMemory):
		return errMemory
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	}
	return other
}

// guard turns a panic of read into an error.
func guard(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); ok && errors.Is(e, errMemory) {
				err = errMemory
				return
			}
			err = errDamaged
		}
	}()
	return read()
}

func appendRow(to []byte, batch arrow.RecordBatch, row int) ([]byte, error) {
	to = append(to, '{')
	for i, field := range batch.Schema().Fields() {
		if i > 0 {
			to = append(to, ',')
		}
		var err error
		if to, err = appendMember(to, field.Name, batch.Column(i), row); err != nil {
			return to, err
		}
	}
	return append(to, '}'), nil
}

// appendMember appends a field of an object.
func appendMember(to []byte, name string, values arrow.Array, i int) ([]byte, error) {
	to, err := rowjson.AppendText(to, name)
	if err != nil {
		return to, err
	}
	if to, err = appendValue(append(to, ':'), values, i); errors.Is(err, rowjson.ErrNotUTF8) {
		err = fmt.Errorf("%q: %w", name, err)
	}
	return to, err
}
