package dataset

import (
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
)

// maxRecord bounds the length of a record in bytes: more than a document needs, and
// small enough for memory.
const maxRecord = 64 << 20

// A fileType reads the records of a file. The line of a record with an error is that of
// the error; the error is the last element.
type fileType struct {
	ending  string
	records func(io.Reader) iter.Seq2[record, error]
	// rows replaces records for a file that is not read sequentially; such a file has
	// rows instead of lines, and is not compressed as a whole.
	rows func(io.ReaderAt, int64) iter.Seq2[record, error]
}

var fileTypes = []fileType{
	{ending: ".jsonl", records: jsonRecords},
	{ending: ".json", records: jsonRecords},
	{ending: ".ndjson", records: jsonRecords},
	{ending: ".jsonlines", records: jsonRecords},
	{ending: ".csv", records: csvRows(',')},
	{ending: ".tsv", records: csvRows('\t')},
	{ending: ".parquet", rows: parquetRows},
	{ending: ".arrow", rows: arrowRows},
	{ending: ".feather", rows: arrowRows},
	{ending: ".txt", records: plainText},
}

// fileTypeOf returns the type of a file's extension.
func fileTypeOf(path string) (fileType, bool) {
	if path == Stdin {
		return fileType{records: jsonRecords}, true
	}
	compressed, name := compressionOf(path)
	for _, kind := range fileTypes {
		if strings.EqualFold(filepath.Ext(name), kind.ending) {
			return kind, compressed == nil || kind.records != nil
		}
	}
	return fileType{}, false
}

// open returns the records of a file of the type, which has size bytes. A compressed file
// is known by its name or its first bytes.
func (kind fileType) open(path string, file *countingReader, size int64) (iter.Seq2[record, error], error) {
	if kind.rows != nil {
		return kind.rows(file, size), nil
	}
	c, _ := compressionOf(path)
	if c == nil || path == Stdin {
		c = compressionIn(file)
	}
	text := io.Reader(file)
	var err error
	if c != nil {
		if size == 0 {
			return nil, fmt.Errorf("%s: the file is empty", path)
		}
		if text, err = c.read(file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if text, err = checkEncoding(text); err != nil {
		return nil, fmt.Errorf("%s: %w", kind.at(path, 0), err)
	}
	return kind.records(text), nil
}

// at names a place in a file of the type; line 0 names the whole file.
func (kind fileType) at(path string, line int) string {
	if path == Stdin {
		return fmt.Sprintf("standard input, line %d", max(line, 1))
	}
	if line == 0 {
		return path
	}
	if kind.rows != nil {
		return fmt.Sprintf("%s, row %d", path, line)
	}
	return fmt.Sprintf("%s:%d", path, line)
}

// endings lists the extensions of dataset files.
func endings() string {
	var all []string
	for _, kind := range fileTypes {
		all = append(all, kind.ending)
	}
	return strings.Join(all, ", ")
}

// utf8Mark may begin a file and is skipped.
const utf8Mark = "\xef\xbb\xbf"

// A countingReader counts the bytes read from a file.
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

// ReadAt reads at an offset.
func (c *countingReader) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.file.ReadAt(p, at)
	c.n += int64(n)
	return n, err
}
