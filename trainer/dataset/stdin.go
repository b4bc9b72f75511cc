package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"qlora/internal/gitlfs"
)

// Stdin is the path that names standard input, which holds JSON records in any layout of
// a .json or .jsonl file.
const Stdin = "-"

// maxStdin bounds the bytes of standard input, which are kept in a temporary file.
const maxStdin = 64 << 30

// A spool keeps a stream in a temporary file, because records are read more than once.
// The file has no name, so it is gone with the process.
type spool struct {
	from io.Reader
	most int64
	once sync.Once
	file *os.File
	size int64
	err  error
}

var stdin = &spool{from: os.Stdin, most: maxStdin}

// fill reads the stream to its end, once.
func (s *spool) fill() error {
	s.once.Do(func() {
		if s.file, s.err = os.CreateTemp("", "qlora-stdin-*"); s.err != nil {
			return
		}
		if s.err = os.Remove(s.file.Name()); s.err != nil {
			return
		}
		s.size, s.err = io.Copy(s.file, io.LimitReader(s.from, s.most+1))
		switch {
		case s.err != nil:
			s.err = fmt.Errorf("standard input: %w", s.err)
		case s.size > s.most:
			s.err = fmt.Errorf("standard input: it is longer than %d bytes; save it in a file and name that", s.most)
		case s.size == 0:
			s.err = errors.New("standard input: it is empty; pipe JSON records into the program")
		}
	})
	return s.err
}

// openFile opens a file of a source for reading. The caller closes it.
func openFile(path string) (dataFile, error) {
	if path != Stdin {
		if err := gitlfs.Check(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return os.Open(path)
	}
	if err := stdin.fill(); err != nil {
		return nil, err
	}
	return spooled{io.NewSectionReader(stdin.file, 0, stdin.size)}, nil
}

// A dataFile is an open file of a source.
type dataFile interface {
	io.Reader
	io.ReaderAt
	io.Closer
}

// spooled reads a spool from its beginning. Close leaves the spool open.
type spooled struct{ *io.SectionReader }

func (spooled) Close() error { return nil }
