package parquetrows

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

// Limits of a page, which is decoded as a whole. Most writers end a page after about a
// mebibyte, DuckDB after 100 megabytes.
const (
	maxPage       = 128 << 20 // bytes, compressed or not
	maxPages      = 4 * maxPage
	maxPageValues = 1 << 24
	maxHeader     = 1 << 20
)

// A chunk reads the pages of a column in a row group, one at a time.
type chunk struct {
	*leafColumn
	file     io.ReaderAt
	codec    format.CompressionCodec
	from, to int64  // offsets of the unread pages
	held     *int64 // bytes that the pages in memory of all columns need

	dictionary *values
	kept       int64 // bytes of the dictionary
	page       page
}

// A page holds decoded values. Those that are null have levels only.
type page struct {
	repetitions, definitions []uint8 // nil if all are 0, or the largest
	values                   values
	n                        int // of levels
	next, nextValue          int // unread
	size                     int64
}

// newChunk checks what a row group claims of a column.
func newChunk(file io.ReaderAt, size int64, meta *format.ColumnMetaData, l *leafColumn, held *int64) (*chunk, error) {
	from := meta.DataPageOffset
	if at := meta.DictionaryPageOffset; at != 0 && at < from {
		from = at
	}
	if from < 0 || meta.TotalCompressedSize < 0 || meta.TotalCompressedSize > size-from {
		return nil, fmt.Errorf("a column claims %d bytes from %d on in a file of %d", meta.TotalCompressedSize, from, size)
	}
	if meta.Type != l.element.Type.V {
		return nil, fmt.Errorf("column %q is %v in a row group, but %v in the schema", l.name, meta.Type, l.element.Type.V)
	}
	return &chunk{leafColumn: l, file: file, codec: meta.Codec, from: from, to: from + meta.TotalCompressedSize, held: held}, nil
}

// more reads pages until one has an unread value. It returns false at the column's end.
func (c *chunk) more() (bool, error) {
	for c.page.next == c.page.n {
		*c.held -= c.page.size
		c.page = page{}
		if c.from == c.to {
			return false, nil
		}
		if err := c.read(); err != nil {
			return false, fmt.Errorf("a page of column %q: %w", c.name, err)
		}
	}
	return true, nil
}

// levels returns those of the next value.
func (c *chunk) levels() (repetition, definition int) {
	p := &c.page
	if p.repetitions != nil {
		repetition = int(p.repetitions[p.next])
	}
	if p.definitions == nil {
		return repetition, c.definition
	}
	return repetition, int(p.definitions[p.next])
}

// take returns the next value, which may be null.
func (c *chunk) take() (value []byte, null bool) {
	_, definition := c.levels()
	c.page.next++
	if definition < c.definition {
		return nil, true
	}
	c.page.nextValue++
	return c.page.values.at(c.page.nextValue - 1), false
}

// read reads a page.
func (c *chunk) read() error {
	window := make([]byte, min(c.to-c.from, 1<<12))
	p, n, err := readHeader(c.file, c.from, window)
	if errors.Is(err, errCut) && c.to-c.from > int64(len(window)) {
		p, n, err = readHeader(c.file, c.from, make([]byte, min(c.to-c.from, maxHeader)))
	}
	if err != nil {
		return err
	}
	c.from += int64(n)
	switch {
	case p.compressed < 0 || p.compressed > c.to-c.from || p.compressed > maxPage || p.size < 0 || p.size > maxPage:
		return fmt.Errorf("it claims %d bytes, %d uncompressed; the limit is %d", p.compressed, p.size, maxPage)
	case p.values < 0 || p.values > maxPageValues:
		return fmt.Errorf("it claims %d values; the limit is %d", p.values, maxPageValues)
	}
	need := p.size + p.values*8 // levels and indexes or offsets
	if *c.held += need; *c.held > maxPages {
		return fmt.Errorf("the pages of a row exceed %d bytes", maxPages)
	}
	data := make([]byte, p.compressed)
	if _, err := c.file.ReadAt(data, c.from); err != nil {
		return err
	}
	c.from += p.compressed
	switch p.kind {
	case format.DictionaryPage:
		*c.held -= c.kept
		c.kept = need
		return c.readDictionary(p, data)
	case format.DataPage, format.DataPageV2:
		c.page.size = need
		return c.readData(p, data)
	}
	*c.held -= need // of an index, which is not needed
	return nil
}

func (c *chunk) readDictionary(p pageHeader, data []byte) error {
	plain, err := decompress(c.codec, data, p.size)
	if err != nil {
		return err
	}
	if p.encoding == format.PlainDictionary { //nolint:staticcheck // old files have it
		p.encoding = format.Plain
	}
	dictionary, err := c.decodeValues(p.encoding, plain, int(p.values), nil)
	if dictionary.of != nil {
		err = errCut
	}
	if dictionary.offsets == nil {
		dictionary.data = dictionary.data[:min(len(dictionary.data), int(p.values)*dictionary.width)]
	}
	c.dictionary = &dictionary
	return err
}

func (c *chunk) readData(p pageHeader, data []byte) (err error) {
	n := int(p.values)
	repetitionBits, definitionBits := bits.Len(uint(c.repetition)), bits.Len(uint(c.definition))
	var repetitions, definitions []byte
	if p.kind == format.DataPageV2 {
		both := p.levels[0] + p.levels[1]
		if p.levels[0] < 0 || p.levels[1] < 0 || both > int64(len(data)) {
			return errCut
		}
		repetitions, definitions, data = data[:p.levels[0]], data[p.levels[0]:both], data[both:]
		codec := c.codec
		if p.plain {
			codec = format.Uncompressed
		}
		if len(data) > 0 { // a page without values may have no bytes to decompress
			data, err = decompress(codec, data, p.size-both)
		}
	} else {
		data, err = decompress(c.codec, data, p.size)
		for i, part := range []*[]byte{&repetitions, &definitions} {
			if err != nil || []int{repetitionBits, definitionBits}[i] == 0 {
				continue
			}
			if p.levelEncodings[i] != format.RLE {
				return fmt.Errorf("the encoding %v of its levels is not supported", p.levelEncodings[i])
			}
			*part, data, err = cutSized(data)
		}
	}
	if err != nil {
		return err
	}
	filled := n
	if repetitionBits > 0 {
		if c.page.repetitions, err = decodeLevels(repetitions, repetitionBits, n, c.repetition); err != nil {
			return err
		}
	}
	if definitionBits > 0 {
		if c.page.definitions, err = decodeLevels(definitions, definitionBits, n, c.definition); err != nil {
			return err
		}
		filled = 0
		for _, level := range c.page.definitions {
			if int(level) == c.definition {
				filled++
			}
		}
	}
	if c.page.values, err = c.decodeValues(p.encoding, data, filled, c.dictionary); err != nil {
		return err
	}
	c.page.n = n
	return nil
}
