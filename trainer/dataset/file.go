package dataset

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
)

// maxRecord is the length in bytes that a record may have: more than any
// document needs, and little enough to hold.
const maxRecord = 64 << 20

// A fileType reads the records of a file. The line of a record that comes
// with an error is that of the error; nothing comes after an error.
type fileType struct {
	ending  string
	records func(io.Reader) iter.Seq2[record, error]
	// rows takes the place of records where a file is not read from front to
	// back; it has rows instead of lines, and is not compressed as a whole.
	rows func(io.ReaderAt, int64) iter.Seq2[record, error]
}

var fileTypes = []fileType{
	{ending: ".jsonl", records: jsonLines},
	{ending: ".json", records: jsonArray},
	{ending: ".csv", records: csvRows(',')},
	{ending: ".tsv", records: csvRows('\t')},
	{ending: ".parquet", rows: parquetRows},
	{ending: ".txt", records: plainText},
}

// gz is an ending of its own behind those of files that are read from front to back.
const gz = ".gz"

// fileTypeOf goes by the name's ending.
func fileTypeOf(path string) (fileType, bool) {
	name, compressed := path, false
	if ending := filepath.Ext(path); strings.EqualFold(ending, gz) {
		name, compressed = path[:len(path)-len(ending)], true
	}
	for _, kind := range fileTypes {
		if strings.EqualFold(filepath.Ext(name), kind.ending) {
			return kind, !compressed || kind.records != nil
		}
	}
	return fileType{}, false
}

// open gives the records of a file of the type, which has size bytes.
func (kind fileType) open(path string, file *countingReader, size int64) (iter.Seq2[record, error], error) {
	switch {
	case kind.rows != nil:
		return kind.rows(file, size), nil
	case strings.EqualFold(filepath.Ext(path), gz) && size == 0:
		return nil, fmt.Errorf("%s: the file is empty", path)
	case strings.EqualFold(filepath.Ext(path), gz):
		// It is decompressed as it is read, so that how much it becomes is of no
		// importance: the longest record bounds what is held.
		text, err := gzip.NewReader(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, gzipFault(err))
		}
		return kind.records(decompressed{text}), nil
	}
	return kind.records(file), nil
}

// decompressed says of the errors of gzip what they mean.
type decompressed struct{ *gzip.Reader }

func (d decompressed) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	return n, gzipFault(err)
}

func gzipFault(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the gzip file is cut off")
	case errors.Is(err, gzip.ErrHeader):
		return errors.New("the file is not compressed by gzip, as its name says")
	case errors.Is(err, gzip.ErrChecksum):
		return errors.New("the gzip file is damaged: its checksum does not match")
	}
	return err
}

// at names a place in a file of the type; line 0 is no place in particular.
func (kind fileType) at(path string, line int) string {
	if line == 0 {
		return path
	}
	if kind.rows != nil {
		return fmt.Sprintf("%s, row %d", path, line)
	}
	return fmt.Sprintf("%s:%d", path, line)
}

// endings lists what a file's name can end in.
func endings() string {
	var all []string
	for _, kind := range fileTypes {
		all = append(all, kind.ending)
	}
	return strings.Join(all, ", ")
}

// utf8Mark may stand at the beginning of a file and is no part of it.
const utf8Mark = "\xef\xbb\xbf"

// A countingReader counts the bytes that were read of a file.
type countingReader struct {
	file interface {
		io.Reader
		io.ReaderAt
	}
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadAt reads at any place.
func (c *countingReader) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.file.ReadAt(p, at)
	c.n += int64(n)
	return n, err
}
