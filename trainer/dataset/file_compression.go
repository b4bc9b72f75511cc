package dataset

import (
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A compression is an extension after those of files that are read sequentially.
// Decompression streams, so the decompressed size does not matter: only the longest
// record is held in memory.
type compression struct {
	ending string
	magic  string // first bytes of a file
	open   func(io.Reader) (io.Reader, error)
	// fault explains an error of opening or reading.
	fault func(error) error
}

var compressions = []compression{
	{".gz", "\x1f\x8b\x08", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }, gzipFault},
	{".zst", "\x28\xb5\x2f\xfd", openZstd, zstdFault},
	{".bz2", "BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }, bzip2Fault},
}

// compressionOf returns the compression that a file's name ends in, and the name without
// it; or nil.
func compressionOf(path string) (*compression, string) {
	ending := filepath.Ext(path)
	for i := range compressions {
		if strings.EqualFold(ending, compressions[i].ending) {
			return &compressions[i], path[:len(path)-len(ending)]
		}
	}
	return nil, path
}

// compressionIn returns the compression of a file whose name has none, by its first bytes;
// or nil.
func compressionIn(file io.ReaderAt) *compression {
	head := make([]byte, 4)
	n, _ := file.ReadAt(head, 0) // an error is left to the reader of the records
	for i := range compressions {
		if strings.HasPrefix(string(head[:n]), compressions[i].magic) {
			return &compressions[i]
		}
	}
	return nil
}

// compressionEndings lists the extensions for a message.
func compressionEndings() string {
	var all []string
	for _, c := range compressions {
		all = append(all, c.ending)
	}
	return strings.Join(all, ", ")
}

// read returns the decompressed text.
func (c *compression) read(file io.Reader) (io.Reader, error) {
	text, err := c.open(file)
	if err != nil {
		return nil, c.fault(err)
	}
	return decompressed{text, c}, nil
}

// decompressed explains errors of decompression.
type decompressed struct {
	text io.Reader
	of   *compression
}

func (d decompressed) Read(p []byte) (int, error) {
	n, err := d.text.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = d.of.fault(err)
	}
	return n, err
}

func gzipFault(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the gzip file is truncated: download or compress it again")
	case errors.Is(err, gzip.ErrHeader):
		return errors.New("the file is not gzip, despite its name")
	case errors.Is(err, gzip.ErrChecksum):
		return errors.New("the gzip file is damaged: its checksum does not match")
	}
	return err
}

// maxWindow bounds the memory that a Zstandard file may need, above zstd --ultra's.
const maxWindow = 256 << 20

func openZstd(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
}

func zstdFault(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the Zstandard file is truncated: download or compress it again")
	case errors.Is(err, zstd.ErrMagicMismatch):
		return errors.New("the file is not Zstandard, despite its name")
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return errors.New("the Zstandard file needs too much memory; compress it without --long")
	case errors.Is(err, zstd.ErrCRCMismatch):
		return errors.New("the Zstandard file is damaged: its checksum does not match")
	}
	return errors.New("the Zstandard file is damaged")
}

func bzip2Fault(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the bzip2 file is truncated: download or compress it again")
	}
	return errors.New("the file is not bzip2, despite its name, or damaged")
}
