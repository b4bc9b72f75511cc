// Package gguf reads and writes GGUF files, the container of llama.cpp: metadata by key, and
// tensors. It knows nothing of what the keys and the tensors' names mean.
//
// A file is a header, padding, and the tensors' data, each aligned:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Versions 2 and 3, little-endian,
// are read, and 3 is written. A model may be split over files called
// name-00001-of-00003.gguf. Reading maps the files: opening reads only the headers, and a
// tensor's bytes are in the page cache. Every value of a header is checked before it is used.
package gguf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qlora/internal/ggml"
	"qlora/internal/gitlfs"
)

// A Tensor is a tensor in a mapped file.
type Tensor struct {
	Name  string
	Type  ggml.Type
	Shape []int  // outermost first, [rows, cols]: the reverse of the file's order; empty for a scalar
	Data  []byte // blocks along the rows, row-major: a read-only view of the file, valid until Close
}

// Elements returns the product of the shape.
func (t Tensor) Elements() int {
	n := 1
	for _, size := range t.Shape {
		n *= size
	}
	return n
}

// A File is an open GGUF file, or all files of a split model. Its methods are safe for
// concurrent use, except Close, which must come last.
type File struct {
	parts    []part
	metadata Metadata
	tensors  []Tensor
	index    map[string]place
}

// A part is one mapped file.
type part struct {
	path   string
	mapped []byte
}

// A place says where a tensor is: its index, the index of its file, and its offset there.
type place struct{ tensor, part, offset int }

// Open maps the GGUF file at path and checks its header: that all counts and lengths are in
// range, that no key and no tensor occurs twice, that the types are known, and that the
// tensors lie in the file without overlap. If the file is the first part of a split model,
// Open opens the other parts too, which must be next to it. An error names the file.
//
// A file must not be truncated while it is open: reading missing pages kills the process.
func Open(path string) (*File, error) {
	first, h, err := openPart(path)
	if err != nil {
		return nil, err
	}
	f := &File{metadata: h.metadata, index: map[string]place{}}
	if err := f.add(first, h); err != nil {
		_ = f.Close()
		return nil, err
	}
	if err := f.openRest(path); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// openPart maps and checks one file.
func openPart(path string) (part, header, error) {
	mapped, err := mapFile(path)
	if err != nil {
		return part{}, header{}, fmt.Errorf("%s: %w", path, err)
	}
	h, err := parseHeader(mapped)
	if err != nil {
		_ = unix.Munmap(mapped)
		return part{}, header{}, fmt.Errorf("%s: %w", path, err)
	}
	return part{path, mapped}, h, nil
}

func mapFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the caller adds the path
	}
	defer file.Close() // the mapping remains valid
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if err := gitlfs.Check(path); err != nil {
		return nil, err
	}
	if info.Size() < 24 {
		return nil, fmt.Errorf("%d bytes are too few for a GGUF file: download it again", info.Size())
	}
	mapped, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map into memory: %w", err)
	}
	return mapped, nil
}

// add adds a part and its tensors.
func (f *File) add(p part, h header) error {
	f.parts = append(f.parts, p)
	for _, e := range h.tensors {
		if at, twice := f.index[e.name]; twice {
			return fmt.Errorf("%s: tensor %q is in %s too", p.path, excerpt(e.name), filepath.Base(f.parts[at.part].path))
		}
		f.index[e.name] = place{len(f.tensors), len(f.parts) - 1, h.data + e.begin}
		f.tensors = append(f.tensors, Tensor{e.name, e.kind, e.shape, p.mapped[h.data+e.begin : h.data+e.end : h.data+e.end]})
	}
	return nil
}

// Metadata returns the metadata, of a split model that of its first file. Callers must not
// modify it.
func (f *File) Metadata() Metadata { return f.metadata }

// Tensors returns all tensors in the files' order. Callers must not modify the slice.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor returns the tensor called name, and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	at, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[at.tensor], true
}

// Parts returns the paths of the files, one unless the model is split.
func (f *File) Parts() []string {
	paths := make([]string, len(f.parts))
	for i, p := range f.parts {
		paths[i] = p.path
	}
	return paths
}

// Where returns the place of the tensor called name, for messages.
func (f *File) Where(name string) string {
	at, ok := f.index[name]
	if !ok {
		return fmt.Sprintf("tensor %q", name)
	}
	return fmt.Sprintf("%s: tensor %q", filepath.Base(f.parts[at.part].path), name)
}

// Part returns the number of the file that has the tensor called name, an index of Parts;
// -1 if there is no such tensor.
func (f *File) Part(name string) int {
	if at, ok := f.index[name]; ok {
		return at.part
	}
	return -1
}

// Release tells the system that the tensor called name is not needed for now: its pages leave
// the process's resident memory. The next read brings them back.
func (f *File) Release(name string) {
	at, ok := f.index[name]
	if !ok || len(f.tensors[at.tensor].Data) == 0 {
		return
	}
	page := os.Getpagesize()
	end := at.offset + len(f.tensors[at.tensor].Data)
	_ = unix.Madvise(f.parts[at.part].mapped[at.offset/page*page:end], unix.MADV_DONTNEED) // advice only
}

// Close unmaps the files. The tensors' Data must not be read afterwards.
func (f *File) Close() error {
	var all []error
	for _, p := range f.parts {
		all = append(all, unix.Munmap(p.mapped))
	}
	*f = File{}
	return errors.Join(all...)
}
