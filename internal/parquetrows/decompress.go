package parquetrows

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

var (
	errLarger  = errors.New("it decompresses to more than its header claims")
	errSmaller = errors.New("it decompresses to less than its header claims")
)

// decompress returns the size bytes of a page. It fails if they are more or less.
func decompress(codec format.CompressionCodec, data []byte, size int64) ([]byte, error) {
	if size < 0 {
		return nil, errCut
	}
	plain, err := data, error(nil)
	switch codec {
	case format.Uncompressed:
	case format.Snappy:
		plain, err = unsnap(data, size)
	case format.Gzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			plain, err = upTo(r, size)
		}
	case format.Brotli:
		plain, err = upTo(brotli.NewReader(bytes.NewReader(data)), size)
	case format.Zstd:
		var r *zstd.Decoder
		if r, err = zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxPage)); err == nil {
			defer r.Close()
			plain, err = upTo(r, size)
		}
	case format.Lz4Raw:
		plain, err = unLZ4(data, size)
	case format.Lz4:
		plain, err = unLZ4Framed(data, size)
	default:
		return nil, fmt.Errorf("its compression %v is not supported; write the file with snappy, gzip or zstd", codec)
	}
	switch {
	case err != nil:
		return nil, err
	case int64(len(plain)) < size:
		return nil, errSmaller
	case int64(len(plain)) > size:
		return nil, errLarger
	}
	return plain, nil
}

// upTo reads up to one byte more than size.
func upTo(from io.Reader, size int64) ([]byte, error) {
	var out bytes.Buffer
	_, err := io.Copy(&out, io.LimitReader(from, size+1))
	return out.Bytes(), err
}

func unsnap(data []byte, size int64) ([]byte, error) {
	n, err := snappy.DecodedLen(data)
	switch {
	case err != nil:
		return nil, err
	case int64(n) > size:
		return nil, errLarger
	}
	return snappy.Decode(nil, data)
}

func unLZ4(data []byte, size int64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	plain := make([]byte, size)
	n, err := lz4.UncompressBlock(data, plain)
	if err != nil {
		return nil, errors.New("it is no LZ4 block of the length that its header claims")
	}
	return plain[:n], nil
}

// unLZ4Framed decompresses what the old name LZ4 stands for: blocks that follow their
// lengths, as Hadoop writes them, or LZ4's frames, or a bare block.
func unLZ4Framed(data []byte, size int64) ([]byte, error) {
	if plain, err := unHadoop(data, size); err == nil {
		return plain, nil
	}
	if plain, err := upTo(lz4.NewReader(bytes.NewReader(data)), size); err == nil {
		return plain, nil
	}
	return unLZ4(data, size)
}

// unHadoop decompresses blocks of which each follows the big-endian lengths of its
// content and of itself.
func unHadoop(data []byte, size int64) ([]byte, error) {
	var out []byte
	for len(data) > 0 {
		if len(data) < 8 {
			return nil, errCut
		}
		length, compressed := int64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint32(data[4:]))
		if data = data[8:]; compressed > int64(len(data)) || length > size-int64(len(out)) {
			return nil, errCut
		}
		plain, err := unLZ4(data[:compressed], length)
		if err != nil || int64(len(plain)) != length {
			return nil, errCut
		}
		out, data = append(out, plain...), data[compressed:]
	}
	return out, nil
}
