package checkpoint

import (
	"io"

	"qlora/internal/safetensors"
)

// A File is an open safetensors file of dense tensors other than a model: an adapter or an
// optimizer's state.
type File struct{ file *safetensors.File }

// OpenFile maps the safetensors file at path and checks its header. An error names the file.
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

// Names returns the tensors' names, sorted. Callers must not modify the slice.
func (f *File) Names() []string { return f.file.Names() }

// Metadata returns the header's free text by key, or nil if there is none.
func (f *File) Metadata() map[string]string { return f.file.Metadata() }

// Close unmaps the file. Its tensors' Data must not be read afterwards.
func (f *File) Close() error { return f.file.Close() }

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
	entries := make([]safetensors.Entry, len(tensors))
	for i, e := range tensors {
		entries[i] = safetensors.Entry{Name: e.Name, DType: safetensors.DType(e.DType), Shape: e.Shape, Write: e.Write}
	}
	return safetensors.Write(path, entries, metadata)
}
