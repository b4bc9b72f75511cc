package checkpoint

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"qlora/internal/gguf"
	"qlora/internal/llamacpp/vocabulary"
)

// sideFilesOf returns the files of a folder that a GGUF file's metadata stands for. Those of the
// tokenizer are made when the first of them is asked for.
func sideFilesOf(meta gguf.Metadata, config []byte) fs.FS {
	tokens := sync.OnceValues(func() (map[string][]byte, error) {
		if !meta.Has("tokenizer.ggml.model") {
			return nil, nil
		}
		v, err := vocabulary.Parse(meta.Value)
		if err != nil {
			return nil, err
		}
		return v.Files()
	})
	return madeFiles{config, tokens}
}

// madeFiles is a folder of files that are made from something else.
type madeFiles struct {
	config []byte
	more   func() (map[string][]byte, error)
}

// Open opens a file, or the folder itself.
func (m madeFiles) Open(name string) (fs.File, error) {
	fail := func(err error) (fs.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	switch {
	case !fs.ValidPath(name):
		return fail(fs.ErrInvalid)
	case name == configFile:
		return &madeFile{madeInfo{name, len(m.config)}, bytes.NewReader(m.config)}, nil
	case !slices.Contains(madeNames, name) && name != ".":
		return fail(fs.ErrNotExist)
	}
	files, err := m.more()
	if err != nil {
		return fail(err)
	}
	if name == "." {
		return &madeDir{entries: m.entries(files)}, nil
	}
	data, ok := files[name]
	if !ok {
		return fail(fs.ErrNotExist)
	}
	return &madeFile{madeInfo{name, len(data)}, bytes.NewReader(data)}, nil
}

// madeNames are the files of a vocabulary.
var madeNames = []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json"}

func (m madeFiles) entries(files map[string][]byte) []fs.DirEntry {
	entries := []fs.DirEntry{fs.FileInfoToDirEntry(madeInfo{configFile, len(m.config)})}
	for _, name := range madeNames {
		if data, ok := files[name]; ok {
			entries = append(entries, fs.FileInfoToDirEntry(madeInfo{name, len(data)}))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return bytes.Compare([]byte(a.Name()), []byte(b.Name())) })
	return entries
}

// A madeFile is an open file.
type madeFile struct {
	info madeInfo
	*bytes.Reader
}

func (f *madeFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *madeFile) Close() error               { return nil }

// A madeDir is the open folder.
type madeDir struct {
	entries []fs.DirEntry
	at      int
}

func (d *madeDir) Stat() (fs.FileInfo, error) { return madeInfo{".", -1}, nil }
func (d *madeDir) Close() error               { return nil }

func (d *madeDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: ".", Err: fmt.Errorf("it is a folder")}
}

// ReadDir returns the next n entries, or all that remain if n is not positive.
func (d *madeDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.entries[d.at:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 {
		rest = rest[:min(n, len(rest))]
	}
	d.at += len(rest)
	return slices.Clone(rest), nil
}

// A madeInfo describes a file; a negative size is the folder's.
type madeInfo struct {
	name string
	size int
}

func (i madeInfo) Name() string       { return i.name }
func (i madeInfo) Size() int64        { return int64(max(0, i.size)) }
func (i madeInfo) ModTime() time.Time { return time.Time{} }
func (i madeInfo) IsDir() bool        { return i.size < 0 }
func (i madeInfo) Sys() any           { return nil }

func (i madeInfo) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
