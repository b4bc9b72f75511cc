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

// String returns the type's name as safetensors spells it.
func (d DType) String() string { return dtypes[d].name }

// Size returns the number of bytes of one element.
func (d DType) Size() int64 { return dtypes[d].size }

// ParseDType returns the type that safetensors calls name.
func ParseDType(name string) (DType, error) {
	for d, t := range dtypes {
		if t.name == name {
			return DType(d), nil
		}
	}
	return 0, fmt.Errorf("element type %q is not one that can be computed with", name)
}

// A Tensor is a row-major matrix [Rows, Cols] in a device's memory; a vector has
// one row. Activations are [tokens, features], weights [out, in]. It is a small
// value: copies, slices and column views are of the same memory. The zero Tensor
// means "absent" wherever an operation's tensor is optional.
type Tensor struct {
	block  *Block
	offset int64 // bytes from the block's start
	DType  DType
	Rows   int
	Cols   int

	// Element [i, j] lies i·stride + (j/width)·period + j%width elements from the
	// first. Contiguous: all three are Cols.
	stride, width, period int
}

// Absent reports whether t is the zero Tensor.
func (t Tensor) Absent() bool { return t.block == nil }

// Len returns the number of elements.
func (t Tensor) Len() int { return t.Rows * t.Cols }

// Bytes returns the size of t's elements in bytes, without what lies between them.
func (t Tensor) Bytes() int64 { return int64(t.Len()) * t.DType.Size() }

// Contiguous reports whether t's elements lie one after the other.
func (t Tensor) Contiguous() bool { return t.width == t.Cols && (t.stride == t.Cols || t.Rows <= 1) }

// Stride returns the elements from one row's first to the next row's.
func (t Tensor) Stride() int { return t.stride }

// Groups returns how the columns lie: width of them together, and period elements
// from one group's first to the next group's. Of one group both are Cols.
func (t Tensor) Groups() (width, period int) { return t.width, t.period }

// Column returns how many elements column j lies behind column 0.
func (t Tensor) Column(j int) int {
	if t.width == t.Cols {
		return j
	}
	return j/t.width*t.period + j%t.width
}

// Head returns the view of t's first n rows.
func (t Tensor) Head(n int) Tensor { return t.Slice(0, n) }

// Slice returns the view of the rows [from, to).
func (t Tensor) Slice(from, to int) Tensor {
	if from < 0 || to < from || to > t.Rows {
		panic(fmt.Sprintf("bindings: rows %d to %d of a tensor with %d rows", from, to, t.Rows))
	}
	t.offset += int64(from) * int64(t.stride) * t.DType.Size()
	t.Rows = to - from
	return t
}

// Columns returns the view of the columns [from, to) of a tensor in one group.
func (t Tensor) Columns(from, to int) Tensor {
	if from < 0 || to < from || to > t.Cols || t.width != t.Cols {
		panic(fmt.Sprintf("bindings: columns %d to %d of %v", from, to, t))
	}
	t.offset += int64(from) * t.DType.Size()
	t.Cols = to - from
	t.width, t.period = t.Cols, t.Cols
	return t
}

// Every returns the view of width columns from column from on in every period
// columns: the queries, say, of a fused projection whose heads are laid out
// [q, k, v], [q, k, v], … It has Cols/period·width columns.
func (t Tensor) Every(period, from, width int) Tensor {
	if period <= 0 || from < 0 || width <= 0 || from+width > period || t.Cols%period != 0 || t.width != t.Cols {
		panic(fmt.Sprintf("bindings: %d columns from %d of every %d of %v", width, from, period, t))
	}
	groups := t.Cols / period
	t.offset += int64(from) * t.DType.Size()
	t.Cols, t.width, t.period = groups*width, width, period
	if groups == 1 {
		t.period = width
	}
	return t
}

// Reshape returns t's elements as [rows, cols]; their number must be the same, and
// t contiguous.
func (t Tensor) Reshape(rows, cols int) Tensor {
	if rows*cols != t.Len() || !t.Contiguous() {
		panic(fmt.Sprintf("bindings: %v reshaped to [%d, %d]", t, rows, cols))
	}
	t.Rows, t.Cols = rows, cols
	t.stride, t.width, t.period = cols, cols, cols
	return t
}

// Address returns where t's first element lies. It panics while the tensor's memory
// is only planned.
func (t Tensor) Address() unsafe.Pointer {
	if t.block == nil || t.block.Base == nil {
		panic("bindings: the tensor's memory has not been taken yet")
	}
	return unsafe.Add(t.block.Base, t.offset)
}

// Planned reports whether t has a place in a plan but no memory yet.
func (t Tensor) Planned() bool { return t.block != nil && t.block.Base == nil }

// Overlaps reports whether t and u share bytes. Views of the same rows share none
// where their columns differ.
func (t Tensor) Overlaps(u Tensor) bool {
	if t.block == nil || t.block != u.block || t.Len() == 0 || u.Len() == 0 {
		return false
	}
	if t.offset >= u.end() || u.offset >= t.end() {
		return false
	}
	if t.Contiguous() && u.Contiguous() || t.stride != u.stride || t.DType.Size() != u.DType.Size() {
		return true
	}
	apart := int((u.offset - t.offset) / t.DType.Size())
	if t.period == u.period && t.stride%t.period == 0 {
		return meet(t.stride, apart, t.span(), u.span()) && meet(t.period, apart, t.width, u.width)
	}
	for i := 0; i < t.Cols; i += t.width {
		for j := 0; j < u.Cols; j += u.width {
			if meet(t.stride, apart+u.Column(j)-t.Column(i), t.width, u.width) {
				return true
			}
		}
	}
	return false
}

// end returns the byte behind t's last element.
func (t Tensor) end() int64 {
	return t.offset + int64((t.Rows-1)*t.stride+t.span())*t.DType.Size()
}

// span returns the elements from a row's first to behind its last.
func (t Tensor) span() int { return t.Column(t.Cols-1) + 1 }

// meet reports whether a elements of every period, and b elements of every period
// that begin apart elements later, have one in common.
func meet(period, apart, a, b int) bool {
	at := ((apart % period) + period) % period
	return at < a || at+b > period
}

// samePlace reports whether t and u have the same elements in the same order.
func (t Tensor) samePlace(u Tensor) bool {
	return t.block == u.block && t.offset == u.offset &&
		(t.Contiguous() && u.Contiguous() || t.stride == u.stride && t.width == u.width && t.period == u.period)
}

// String returns the type and shape, for messages.
func (t Tensor) String() string {
	if t.Absent() {
		return "absent"
	}
	return fmt.Sprintf("%v[%d, %d]", t.DType, t.Rows, t.Cols)
}
