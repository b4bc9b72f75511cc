package bindings

import (
	"fmt"
	"unsafe"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types that operations know.
const (
	F32 DType = iota
	BF16
	F16
	U8
	I32
)

var dtypes = [...]struct {
	name string
	size int64
}{F32: {"F32", 4}, BF16: {"BF16", 2}, F16: {"F16", 2}, U8: {"U8", 1}, I32: {"I32", 4}}

// String is the type's name as safetensors spells it.
func (d DType) String() string { return dtypes[d].name }

// Size is the number of bytes of one element.
func (d DType) Size() int64 { return dtypes[d].size }

// ParseDType is the type that safetensors calls name.
func ParseDType(name string) (DType, error) {
	for d, t := range dtypes {
		if t.name == name {
			return DType(d), nil
		}
	}
	return 0, fmt.Errorf("element type %q is not one that can be computed with", name)
}

// A Tensor is a dense row-major matrix [Rows, Cols] in a device's memory; a
// vector has one row. Activations are [tokens, features], weights [out, in].
// It is a small value: copies are views of the same memory. The zero Tensor
// means "absent" wherever an operation's tensor is optional.
type Tensor struct {
	block  *Block
	offset int64 // bytes from the block's start
	DType  DType
	Rows   int
	Cols   int
}

// Absent reports whether t is the zero Tensor.
func (t Tensor) Absent() bool { return t.block == nil }

// Len is the number of elements.
func (t Tensor) Len() int { return t.Rows * t.Cols }

// Bytes is the size of t's elements in bytes.
func (t Tensor) Bytes() int64 { return int64(t.Len()) * t.DType.Size() }

// Head is the view of t's first n rows.
func (t Tensor) Head(n int) Tensor { return t.Slice(0, n) }

// Slice is the view of the rows [from, to).
func (t Tensor) Slice(from, to int) Tensor {
	if from < 0 || to < from || to > t.Rows {
		panic(fmt.Sprintf("bindings: rows %d to %d of a tensor with %d rows", from, to, t.Rows))
	}
	t.offset += int64(from) * int64(t.Cols) * t.DType.Size()
	t.Rows = to - from
	return t
}

// Reshape is t's elements as [rows, cols]; their number must be the same.
func (t Tensor) Reshape(rows, cols int) Tensor {
	if rows*cols != t.Len() {
		panic(fmt.Sprintf("bindings: [%d, %d] reshaped to [%d, %d]", t.Rows, t.Cols, rows, cols))
	}
	t.Rows, t.Cols = rows, cols
	return t
}

// Address is where t's first element lies. It panics while the tensor's memory
// is only planned.
func (t Tensor) Address() unsafe.Pointer {
	if t.block == nil || t.block.Base == nil {
		panic("bindings: the tensor's memory has not been taken yet")
	}
	return unsafe.Add(t.block.Base, t.offset)
}

// Planned reports whether t has a place in a plan but no memory yet.
func (t Tensor) Planned() bool { return t.block != nil && t.block.Base == nil }

// Overlaps reports whether t and u share bytes.
func (t Tensor) Overlaps(u Tensor) bool {
	return t.block != nil && t.block == u.block && t.offset < u.offset+u.Bytes() && u.offset < t.offset+t.Bytes()
}

// String is the type and shape, for messages.
func (t Tensor) String() string {
	if t.Absent() {
		return "absent"
	}
	return fmt.Sprintf("%v[%d, %d]", t.DType, t.Rows, t.Cols)
}
