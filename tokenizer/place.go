package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/internal/gitlfs"
)

// A place has a tokenizer's files: a folder, or what stands for one.
type place struct {
	files fs.FS
	name  string // of the folder, for messages
}

func placeOf(dir string) place { return place{os.DirFS(dir), dir} }

// path returns a file's path for messages; read accepts it.
func (p place) path(name string) string { return filepath.Join(p.name, name) }

// entries returns the files, sorted by name.
func (p place) entries() ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(p.files, ".")
	return entries, p.named(err, ".")
}

// read returns the content of the file with path's base name.
func (p place) read(path string) ([]byte, error) {
	name := filepath.Base(path)
	info, err := fs.Stat(p.files, name)
	if err != nil {
		return nil, p.named(err, name)
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s: %d bytes exceed the limit of a tokenizer file, %d", path, info.Size(), maxFileBytes)
	}
	data, err := fs.ReadFile(p.files, name)
	if err != nil {
		return nil, p.named(err, name)
	}
	if gitlfs.IsPointer(data) {
		return nil, fmt.Errorf("%s: %w", path, gitlfs.ErrPointer)
	}
	return data, nil
}

// named puts the whole path into an error of the file system.
func (p place) named(err error, name string) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: of.Op, Path: p.path(name), Err: of.Err}
	}
	return err
}
