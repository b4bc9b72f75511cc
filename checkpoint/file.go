package checkpoint

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"qlora/internal/safetensors"
)

// A File holds dense tensors other than a model's: an adapter or an optimizer's state.
type File struct {
	file    *safetensors.File // nil: tensors has them
	tensors map[string]Tensor
	names   []string // sorted
}

// OpenFile maps the safetensors file at path and checks its header. An error names the file.
func OpenFile(path string) (*File, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	return &File{file: file, names: file.Names()}, nil
}

// NewFile returns a File of tensors in memory, without metadata. Of two tensors with one
// name, the last counts.
func NewFile(tensors []Tensor) *File {
	f := &File{tensors: map[string]Tensor{}}
	for _, t := range tensors {
		f.tensors[t.Name] = t
	}
	f.names = slices.Sorted(maps.Keys(f.tensors))
	return f
}

// Tensor returns the tensor called name, and reports whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	if f.file == nil {
		t, ok := f.tensors[name]
		return t, ok
	}
	t, ok := f.file.Tensor(name)
	if !ok {
		return Tensor{}, false
	}
	return denseOf(t), true
}

// Names returns the tensors' names, sorted. Callers must not modify the slice.
func (f *File) Names() []string { return f.names }

// Metadata returns the header's free text by key, or nil if there is none.
func (f *File) Metadata() map[string]string {
	if f.file == nil {
		return nil
	}
	return f.file.Metadata()
}

// Close unmaps the file. Its tensors' Data must not be read afterwards.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// An Entry is a dense tensor to write. Write must write its elements, little-endian and
// row-major: exactly as many bytes as DType and Shape require.
type Entry struct {
	Name  string
	DType DType
	Shape []int
	Write func(io.Writer) error
}

// WriteFile writes tensors to a safetensors file at path, atomically. It calls the Write
// functions one after the other. It adds "format": "pt", which transformers requires, to
// metadata without a format.
func WriteFile(path string, tensors []Entry, metadata map[string]string) error {
	return safetensors.Write(path, stored(tensors), metadata)
}

func stored(tensors []Entry) []safetensors.Entry {
	entries := make([]safetensors.Entry, len(tensors))
	for i, e := range tensors {
		entries[i] = safetensors.Entry{Name: e.Name, DType: safetensors.DType(e.DType), Shape: e.Shape, Write: e.Write}
	}
	return entries
}

// Discard calls the Write functions as WriteFile does, in its order, and writes nothing: for a
// process that another one needs to write its file.
func Discard(tensors []Entry) error {
	for _, e := range safetensors.InOrder(stored(tensors)) {
		if err := e.Write(io.Discard); err != nil {
			return fmt.Errorf("tensor %q: %w", e.Name, err)
		}
	}
	return nil
}
