// Package torchfile reads the tensors that torch.save wrote: a zip archive with a pickle
// and the storages it names. It runs no program: it knows the few instructions and the few
// classes that a dictionary of tensors needs, and refuses a file with any other.
//
// The format is that of torch 1.6 and later:
// https://docs.pytorch.org/docs/stable/notes/serialization.html.
package torchfile

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"strings"

	"qlora/internal/gitlfs"
)

// Limits on the memory that a file may claim, beside its own size.
const (
	maxPickle   = 16 << 20
	maxEntries  = 1 << 17
	maxTensors  = 1 << 17
	maxElements = math.MaxInt32
)

// A Tensor is a tensor of a file.
type Tensor struct {
	Name  string
	DType string // of safetensors: "F32", "BF16", …
	Shape []int
	Data  []byte // little-endian, row-major
}

// Read returns the tensors of the file at path, in its order, copied to memory. They take
// no more than the file. An error names the file.
func Read(path string) ([]Tensor, error) {
	all, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func read(path string) ([]Tensor, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // Read adds the path
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	}
	if err := gitlfs.Check(path); err != nil {
		return nil, err
	}
	return parse(file, info.Size())
}

// parse reads a file of size bytes.
func parse(file io.ReaderAt, size int64) ([]Tensor, error) {
	archive, err := zip.NewReader(file, size)
	if err != nil {
		return nil, errors.New("it is no zip archive, which torch.save writes since version 1.6: it is damaged, or save it again with a newer PyTorch, or with safetensors")
	}
	if len(archive.File) > maxEntries {
		return nil, fmt.Errorf("it has %d entries; at most %d are read", len(archive.File), maxEntries)
	}
	a := entries{size: size, byName: map[string]*zip.File{}}
	for _, f := range archive.File {
		name := f.Name
		if _, rest, ok := strings.Cut(name, "/"); ok { // the archive's own name is a folder
			name = rest
		}
		if a.byName[name] != nil {
			return nil, fmt.Errorf("it has two entries called %s", name)
		}
		a.byName[name] = f
	}
	if a.byName["byteorder"] != nil {
		order, err := a.read("byteorder", 16)
		if err != nil {
			return nil, err
		}
		if string(order) != "little" {
			return nil, fmt.Errorf("its bytes are in the order %q; only little is read", order)
		}
	}
	text, err := a.read("data.pkl", maxPickle)
	if err != nil {
		return nil, err
	}
	value, err := unpickle(text)
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	return a.tensors(value)
}

// entries are the files of an archive.
type entries struct {
	size   int64
	byName map[string]*zip.File

	key     string // of the storage that was read last
	storage []byte
	work    int64 // bytes of storages read
}

// read returns the content of an entry of at most limit bytes, which must be stored
// without compression.
func (a *entries) read(name string, limit int64) ([]byte, error) {
	f := a.byName[name]
	switch {
	case f == nil:
		return nil, fmt.Errorf("it has no %s: it was not written by torch.save", name)
	case f.Method != zip.Store:
		return nil, fmt.Errorf("its entry %s is compressed, which torch.save never does", name)
	case f.UncompressedSize64 > uint64(min(limit, a.size)):
		return nil, fmt.Errorf("its entry %s has %d bytes; at most %d are read", name, f.UncompressedSize64, min(limit, a.size))
	}
	in, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer in.Close()
	data, err := io.ReadAll(in) // checks the length and the checksum
	if err != nil {
		return nil, fmt.Errorf("%s: %w; download the file again", path.Base(name), err)
	}
	return data, nil
}

// tensors returns the tensors of the dictionary at the top of a file.
func (a *entries) tensors(value any) ([]Tensor, error) {
	top, ok := value.(*dict)
	if !ok {
		return nil, fmt.Errorf("it holds %s and no dictionary of tensors", describe(value))
	}
	var all []Tensor
	seen, left := map[string]bool{}, a.size
	for _, e := range top.entries {
		name, ok := e.key.(string)
		if !ok {
			return nil, fmt.Errorf("a key of its dictionary is %s and no name", describe(e.key))
		}
		v, ok := e.value.(view)
		if !ok {
			return nil, fmt.Errorf("%q is %s and no tensor", name, describe(e.value))
		}
		if seen[name] || len(all) == maxTensors {
			return nil, fmt.Errorf("%q is there twice, or after %d tensors", name, maxTensors)
		}
		seen[name] = true
		t, err := a.tensor(name, v, left)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		left -= int64(len(t.Data))
		all = append(all, t)
	}
	return all, nil
}

// tensor copies a view of a storage. All tensors together may take left bytes more.
func (a *entries) tensor(name string, v view, left int64) (Tensor, error) {
	kind, n := v.of.kind, int64(1)
	for _, size := range v.shape {
		if size < 0 || size > maxElements || n*int64(size) > maxElements {
			return Tensor{}, fmt.Errorf("its shape %v is out of range", v.shape)
		}
		n *= int64(size)
	}
	last := v.offset
	for i, stride := range v.stride {
		if stride < 0 || stride > maxElements {
			return Tensor{}, fmt.Errorf("its strides %v are out of range", v.stride)
		}
		last += stride * max(0, int64(v.shape[i])-1)
	}
	switch {
	case len(v.stride) != len(v.shape):
		return Tensor{}, fmt.Errorf("it has the shape %v and the strides %v", v.shape, v.stride)
	case v.offset < 0 || v.offset > maxElements || n > 0 && last >= v.of.elements:
		return Tensor{}, fmt.Errorf("it reaches element %d of a storage of %d", last, v.of.elements)
	case n*int64(kind.size) > left:
		return Tensor{}, errors.New("the tensors are larger than the file")
	}
	stored, err := a.load(v.of)
	if err != nil {
		return Tensor{}, err
	}
	return Tensor{Name: name, DType: kind.dtype, Shape: v.shape, Data: v.gather(stored, int(n))}, nil
}

// load returns the bytes of a storage. Views of one storage usually follow one another.
func (a *entries) load(s storage) ([]byte, error) {
	if a.storage == nil || a.key != s.key {
		data, err := a.read("data/"+s.key, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		if a.work += int64(len(data)); a.work > 4*a.size {
			return nil, errors.New("its storages are shared by too many tensors: save them apart, as clones")
		}
		a.key, a.storage = s.key, data
	}
	if int64(len(a.storage)) != s.elements*int64(s.kind.size) {
		return nil, fmt.Errorf("its storage has %d bytes for %d elements of %s", len(a.storage), s.elements, s.kind.dtype)
	}
	return a.storage, nil
}

// gather copies the n elements of a view in row-major order.
func (v view) gather(stored []byte, n int) []byte {
	size := int64(v.of.kind.size)
	data := make([]byte, 0, int64(n)*size)
	index := make([]int, len(v.shape))
	for range n {
		at := v.offset
		for i, k := range index {
			at += int64(k) * v.stride[i]
		}
		data = append(data, stored[at*size:(at+1)*size]...)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < v.shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return data
}

// A kind is the element type of a storage.
type kind struct {
	dtype string
	size  int
}

// storages are torch's classes of storages by the type of their elements.
var storages = map[string]kind{
	"FloatStorage": {"F32", 4}, "HalfStorage": {"F16", 2}, "BFloat16Storage": {"BF16", 2}, "DoubleStorage": {"F64", 8},
	"LongStorage": {"I64", 8}, "IntStorage": {"I32", 4}, "ShortStorage": {"I16", 2}, "CharStorage": {"I8", 1}, "ByteStorage": {"U8", 1}, "BoolStorage": {"BOOL", 1},
}

// littleEndian returns the signed number of LONG1's bytes, at most eight.
func littleEndian(b []byte) int64 {
	var whole [8]byte
	copy(whole[:], b)
	n := int64(binary.LittleEndian.Uint64(whole[:]))
	if unused := 64 - 8*len(b); unused > 0 && len(b) > 0 {
		n = n << unused >> unused // extends the sign
	}
	return n
}
