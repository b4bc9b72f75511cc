// Package safetensors reads and writes safetensors files: one file, or a Hugging Face
// model folder with its weights in one file or in shards.
//
// A file is an eight-byte little-endian length, a JSON header of that length, and the
// tensors' bytes: https://github.com/huggingface/safetensors. Reading maps the file:
// opening it reads only the header, and a tensor's bytes are in the page cache. Every
// value of a header is checked before it is used.
package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"qlora/internal/gitlfs"
)

// A Tensor is a tensor in a mapped file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // outermost first; empty for a scalar
	Data  []byte // little-endian, row-major: a read-only view of the file, valid until Close
}

// Elements returns the product of the shape.
func (t Tensor) Elements() int { return len(t.Data) / t.DType.Size() }

// A File is an open safetensors file. Its methods are safe for concurrent use, except
// Close, which must come last.
type File struct {
	path    string
	mapped  []byte
	data    []byte // what follows the header
	header  header
	nameSet []string // sorted
}

// Open maps the file at path and checks its header: that its length is in range, that no
// tensor name occurs twice, that the tensors' types are known and that they fill the
// file exactly, one after the other. An error names the file.
//
// The file must not be truncated while it is open: reading missing pages kills the
// process.
func Open(path string) (*File, error) {
	f, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func open(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // Open adds the path
	}
	defer file.Close() // the mapping remains valid
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	size := info.Size()
	if err := gitlfs.Check(file.Name()); err != nil {
		return nil, err
	}
	if size < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a safetensors file: download it again", size)
	}
	mapped, err := unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map into memory: %w", err)
	}
	f, err := parse(mapped)
	if err != nil {
		_ = unix.Munmap(mapped)
		return nil, err
	}
	f.path, f.mapped = path, mapped
	return f, nil
}

// parse reads a whole file's bytes, at least eight.
func parse(file []byte) (*File, error) {
	length := binary.LittleEndian.Uint64(file)
	if length > maxHeader {
		return nil, fmt.Errorf("the header of %d bytes exceeds safetensors' limit of %d: the file is damaged or not a safetensors file", length, maxHeader)
	}
	rest := file[8:]
	if length > uint64(len(rest)) {
		return nil, fmt.Errorf("the header has %d bytes, but the file has %d for it: it is truncated, so download it again", length, len(rest))
	}
	data := rest[length:]
	header, err := parseHeader(rest[:length], len(data))
	if err != nil {
		return nil, err
	}
	return &File{data: data, header: header, nameSet: slices.Sorted(maps.Keys(header.tensors))}, nil
}

// Tensor returns the tensor called name, and whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	e, ok := f.header.tensors[name]
	if !ok {
		return Tensor{}, false
	}
	return Tensor{name, e.dtype, e.shape, f.data[e.begin:e.end:e.end]}, true
}

// Names returns the tensors' names, sorted. Callers must not modify the slice.
func (f *File) Names() []string { return f.nameSet }

// Metadata returns the header's free text by key, or nil if there is none.
func (f *File) Metadata() map[string]string { return f.header.metadata }

// Where returns the place of the tensor called name, for messages.
func (f *File) Where(name string) string {
	return fmt.Sprintf("%s: tensor %q", filepath.Base(f.path), name)
}

// Release tells the system that t, a tensor of this file, is not needed for now: its
// pages leave the process's resident memory. The next read brings them back.
func (f *File) Release(t Tensor) {
	e, ok := f.header.tensors[t.Name]
	if !ok || e.begin == e.end {
		return
	}
	page := os.Getpagesize()
	start := len(f.mapped) - len(f.data)
	first := (start + e.begin) / page * page
	_ = unix.Madvise(f.mapped[first:start+e.end], unix.MADV_DONTNEED) // advice only
}

// Close unmaps the file. Its tensors' Data must not be read afterwards.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	err := unix.Munmap(f.mapped)
	f.mapped, f.data, f.header, f.nameSet = nil, nil, header{}, nil
	return err
}
