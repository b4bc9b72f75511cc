package checkpoint

import (
	"io"

	"qlora/internal/safetensors"
)

// A File is an open safetensors file of dense tensors that are no model: an adapter,
// an optimizer's state.
type File struct{ file *safetensors.File }

// OpenFile maps the safetensors file at path and checks its header. The error of a
// bad file names it.
func OpenFile(path string) (*File, error) {
	file, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	return &File{file}, nil
}

// Tensor returns the tensor called name, and reports whether there is one.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.file.Tensor(name)
	if !ok {
		return Tensor{}, false
	}
	return denseOf(t), true
}

// Names returns the tensors' names, sorted. They are shared: not to be changed.
func (f *File) Names() []string { return f.file.Names() }

// Metadata returns the header's free text by key; nil without any.
func (f *File) Metadata() map[string]string { return f.file.Metadata() }

// Close unmaps the file: no tensor's Data may be read after it.
func (f *File) Close() error { return f.file.Close() }

// An Entry is a dense tensor to write. Write must write its elements, little-endian
// and row-major: exactly as many bytes as DType and Shape make it.
type Entry struct {
	Name  string
	DType DType
	Shape []int
	Write func(io.Writer) error
}

// WriteFile makes path a safetensors file of tensors, whole or not at all. Write
// functions are called one after the other. The metadata gets "format": "pt" where
// it names no format, which transformers looks for.
func WriteFile(path string, tensors []Entry, metadata map[string]string) error {
	entries := make([]safetensors.Entry, len(tensors))
	for i, e := range tensors {
		entries[i] = safetensors.Entry{Name: e.Name, DType: safetensors.DType(e.DType), Shape: e.Shape, Write: e.Write}
	}
	return safetensors.Write(path, entries, metadata)
}
