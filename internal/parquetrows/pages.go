package parquetrows

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// Limits of a page, which is decoded as a whole. Writers end a page after about a
// mebibyte, so a page of this size holds one value.
const (
	maxPage       = 64 << 20 // bytes, compressed or not
	maxPages      = 4 * maxPage
	maxPageValues = 1 << 24
	maxHeader     = 1 << 20
)

// checkGroup reads the pages of a row group once and refuses those that would need more
// memory than the limits to decode: the decoder allocates what a page claims, and
// run-length codes can claim anything.
func checkGroup(file io.ReaderAt, size int64, group *format.RowGroup, levels []levels) error {
	if len(group.Columns) == 0 || len(group.Columns) != len(levels) {
		return errors.New("a row group does not have the schema's columns")
	}
	held := int64(0)
	for i := range group.Columns {
		meta := &group.Columns[i].MetaData
		c := chunk{file: file, codec: meta.Codec, levels: levels[i]}
		from := meta.DataPageOffset
		if meta.DictionaryPageOffset != 0 {
			from = meta.DictionaryPageOffset
		}
		if from < 0 || meta.TotalCompressedSize < 0 || meta.TotalCompressedSize > size-from {
			return fmt.Errorf("a column claims %[2]d bytes from %[1]d on in a file of %[3]d", from, meta.TotalCompressedSize, size)
		}
		if err := c.check(from, from+meta.TotalCompressedSize); err != nil {
			return fmt.Errorf("a page of column %q: %w", meta.PathInSchema, err)
		}
		if group.NumRows < 0 || group.NumRows > c.values {
			return fmt.Errorf("there are %d rows, but a column has %d values", group.NumRows, c.values)
		}
		if held += c.largest; held > maxPages {
			return fmt.Errorf("the pages of a row exceed %d bytes", maxPages)
		}
	}
	return nil
}

// levels are the bit widths of a column's repetition and definition levels.
type levels struct{ repetition, definition int }

// A chunk holds the pages of a column in a row group.
type chunk struct {
	file    io.ReaderAt
	codec   format.CompressionCodec
	levels  levels
	values  int64
	largest int64 // bytes of the largest page
}

// check checks the pages between two offsets.
func (c *chunk) check(from, to int64) error {
	for from < to {
		window := make([]byte, min(to-from, 1<<12))
		header, n, err := c.header(from, window)
		if errors.Is(err, errCut) && to-from > int64(len(window)) {
			header, n, err = c.header(from, make([]byte, min(to-from, maxHeader)))
		}
		if err != nil {
			return err
		}
		from += int64(n)
		p := header
		switch {
		case p.compressed < 0 || p.compressed > to-from || p.compressed > maxPage || p.size < 0 || p.size > maxPage:
			return fmt.Errorf("it claims %d bytes, %d uncompressed; the limit is %d", p.compressed, p.size, maxPage)
		case p.values < 0 || p.values > maxPageValues:
			return fmt.Errorf("it claims %d values; the limit is %d", p.values, maxPageValues)
		}
		data := make([]byte, p.compressed)
		if _, err := c.file.ReadAt(data, from); err != nil {
			return err
		}
		from += p.compressed
		if err := c.page(p, data); err != nil {
			return err
		}
		c.largest = max(c.largest, p.size)
		if p.kind != format.DictionaryPage {
			c.values += p.values
		}
	}
	return nil
}

// A pageHeader holds what determines how a page is decoded.
type pageHeader struct {
	kind             format.PageType
	size, compressed int64 // bytes
	values           int64
	encoding         format.Encoding
	levels           [2]int64 // bytes of the repetition and definition levels; version 2 only
	levelEncodings   [2]format.Encoding
}

// header reads the header at an offset into a window and returns its length.
func (c *chunk) header(at int64, window []byte) (pageHeader, int, error) {
	var p pageHeader
	if _, err := c.file.ReadAt(window, at); err != nil {
		return p, 0, err
	}
	w := walker{data: window, elements: maxElements}
	p.levelEncodings = [2]format.Encoding{format.RLE, format.RLE}
	w.see = func(path []int, v int64) {
		switch len(path) {
		case 1:
			switch path[0] {
			case 1:
				p.kind = format.PageType(v)
			case 2:
				p.size = v
			case 3:
				p.compressed = v
			}
		case 2: // the headers of a data page, a dictionary page and a data page of version 2
			switch [2]int{path[0], path[1]} {
			case [2]int{5, 1}, [2]int{7, 1}, [2]int{8, 1}:
				p.values = v
			case [2]int{5, 2}, [2]int{7, 2}, [2]int{8, 4}:
				p.encoding = format.Encoding(v)
			case [2]int{5, 3}:
				p.levelEncodings[1] = format.Encoding(v)
			case [2]int{5, 4}:
				p.levelEncodings[0] = format.Encoding(v)
			case [2]int{8, 5}:
				p.levels[1] = v
			case [2]int{8, 6}:
				p.levels[0] = v
			}
		}
	}
	err := w.structure(0)
	return p, len(window) - len(w.data), err
}

// page checks that the page's bytes claim no more than its header does.
func (c *chunk) page(p pageHeader, data []byte) error {
	if p.kind == format.DataPageV2 {
		n := p.levels[0] + p.levels[1]
		if p.levels[0] < 0 || p.levels[1] < 0 || n > int64(len(data)) {
			return errCut
		}
		for i, part := range [][]byte{data[:p.levels[0]], data[p.levels[0]:n]} {
			if err := checkRuns(part, [2]int{c.levels.repetition, c.levels.definition}[i], p.values); err != nil {
				return err
			}
		}
		data, p.size = data[n:], p.size-n
	}
	// A page of version 2 may declare itself uncompressed; then its bytes are not in the
	// codec's format, and are as many as it claims.
	plain, err := c.decompress(data, p.size)
	if err != nil && p.kind == format.DataPageV2 && int64(len(data)) == p.size {
		plain, err = data, nil
	}
	if err != nil {
		return err
	}
	if p.kind == format.DataPage {
		for i, bits := range []int{c.levels.repetition, c.levels.definition} {
			if bits == 0 {
				continue
			}
			if p.levelEncodings[i] != format.RLE {
				return fmt.Errorf("the encoding %v of its levels is not supported", p.levelEncodings[i])
			}
			if plain, err = checkSized(plain, bits, p.values); err != nil {
				return err
			}
		}
	}
	return checkValues(p, plain)
}

// checkValues checks the values by their encoding; only some encodings claim sizes.
func checkValues(p pageHeader, data []byte) error {
	switch p.encoding {
	case format.Plain, format.ByteStreamSplit:
		return nil
	case format.PlainDictionary, format.RLEDictionary: //nolint:staticcheck // old files have the first
		if p.kind == format.DictionaryPage || len(data) == 0 {
			return nil
		}
		return checkRuns(data[1:], int(data[0]), p.values)
	case format.RLE:
		_, err := checkSized(data, 1, p.values)
		return err
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		// Sizes of a block and its parts, then the number of values.
		for i := range 3 {
			v, n := binary.Uvarint(data)
			if n <= 0 {
				return nil // too short to decode
			}
			if data = data[n:]; i == 2 && v > uint64(p.values) {
				return fmt.Errorf("its header claims %d values and its data %d", p.values, v)
			}
		}
		return nil
	}
	return fmt.Errorf("its encoding %v is not supported", p.encoding)
}

// checkSized checks runs prefixed by their length in bytes, and returns the rest.
func checkSized(data []byte, bits int, values int64) ([]byte, error) {
	if len(data) < 4 {
		return nil, errCut
	}
	n := int64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > int64(len(data)) {
		return nil, errCut
	}
	return data[n:], checkRuns(data[:n], bits, values)
}

// checkRuns sums up runs of the hybrid of run-length encoding and bit packing. Only the
// last group of eight may exceed the number of values.
func checkRuns(data []byte, bits int, values int64) error {
	if bits > 32 {
		return fmt.Errorf("its codes have %d bits", bits)
	}
	total := uint64(0)
	for len(data) > 0 {
		head, n := binary.Uvarint(data)
		if n <= 0 {
			return errCut
		}
		data = data[n:]
		count, bytes := head>>1, uint64(bits+7)/8
		if head&1 == 1 {
			if count > maxPageValues {
				return errTooMany
			}
			count, bytes = 8*count, count*uint64(bits)
		}
		if total += count; count > maxPageValues || total > uint64(values)+7 {
			return errTooMany
		}
		data = data[min(bytes, uint64(len(data))):]
	}
	return nil
}

var errTooMany = errors.New("its runs have more values than its header claims")

// decompress returns the bytes of a page. It fails if they are more than size.
func (c *chunk) decompress(data []byte, size int64) ([]byte, error) {
	if size < 0 {
		return nil, errCut
	}
	var from io.Reader
	switch c.codec {
	case format.Uncompressed:
		return data, nil
	case format.Snappy:
		n, err := snappy.DecodedLen(data)
		if err != nil {
			return nil, err
		}
		if int64(n) > size {
			return nil, errLarger
		}
		return snappy.Decode(nil, data)
	case format.Gzip:
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		from = r
	case format.Zstd:
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxPage))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		from = r
	default:
		return nil, fmt.Errorf("its compression %v is not supported; write the file with snappy, gzip or zstd", c.codec)
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(from, size+1))
	if err == nil && n > size {
		err = errLarger
	}
	return out.Bytes(), err
}

var errLarger = errors.New("it decompresses to more than its header claims")
