package bindings

import (
	"fmt"
	"unsafe"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types.
const (
	F32 DType = iota
	BF16
	F16
	U8
	I32
	I64
)

var dtypes = [...]struct {
	name string
	size int64
}{F32: {"F32", 4}, BF16: {"BF16", 2}, F16: {"F16", 2}, U8: {"U8", 1}, I32: {"I32", 4}, I64: {"I64", 8}}

// String returns safetensors' name of the type.
func (d DType) String() string { return dtypes[d].name }

// Size returns the size of one element in bytes.
func (d DType) Size() int64 { return dtypes[d].size }

// ParseDType returns the type with safetensors' name.
func ParseDType(name string) (DType, error) {
	for d, t := range dtypes {
		if t.name == name {
			return DType(d), nil
		}
	}
	return 0, fmt.Errorf("element type %q is not supported", name)
}

// A Tensor is a row-major matrix [Rows, Cols] in a device's memory; a vector has one
// row. Activations are [tokens, features], weights [out, in]. Copies, slices and
// column views of a Tensor share its memory. The zero Tensor means absent: an optional
// operand that is not given.
type Tensor struct {
	block  *Block
	offset int64 // bytes from the block's start
	DType  DType
	Rows   int
	Cols   int

	// Element [i, j] is i·stride + (j/width)·period + j%width elements after the
	// first. Contiguous: all three are Cols.
	stride, width, period int
}

// Stacked returns the matrix of all rows of tensors that follow each other in memory: the
// first's, then the next one's. It reports false if they do not.
func Stacked(parts ...Tensor) (Tensor, bool) {
	all := parts[0]
	for _, t := range parts[1:] {
		if t.block == nil || t.block != all.block || t.DType != all.DType || t.Cols != all.Cols ||
			!t.Contiguous() || !all.Contiguous() || t.offset != all.offset+all.Bytes() {
			return Tensor{}, false
		}
		all = all.over(t.Rows)
	}
	return all, true
}

// over returns t with more rows after its own.
func (t Tensor) over(rows int) Tensor {
	t.Rows += rows
	t.stride = t.Cols
	return t
}

// Abreast returns the matrix of all columns of tensors that are ranges of columns of one
// matrix, next to each other. It reports false if they are not.
func Abreast(parts ...Tensor) (Tensor, bool) {
	all := parts[0]
	for _, t := range parts[1:] {
		if t.block == nil || t.block != all.block || t.DType != all.DType || t.Rows != all.Rows || t.stride != all.stride ||
			t.width != t.Cols || all.width != all.Cols || all.Cols+t.Cols > all.stride ||
			t.offset != all.offset+int64(all.Cols)*all.DType.Size() {
			return Tensor{}, false
		}
		all.Cols += t.Cols
		all.width, all.period = all.Cols, all.Cols
	}
	return all, true
}

// Absent reports whether t is the zero Tensor.
func (t Tensor) Absent() bool { return t.block == nil }

// OnHost reports whether t is in the host's memory, for a Transfer or as the table of an Embed.
func (t Tensor) OnHost() bool { return t.block != nil && t.block.Category.OnHost() }

// Len returns the number of elements.
func (t Tensor) Len() int { return t.Rows * t.Cols }

// Bytes returns the size of t's elements in bytes, without gaps between them.
func (t Tensor) Bytes() int64 { return int64(t.Len()) * t.DType.Size() }

// Contiguous reports whether t's elements have no gaps.
func (t Tensor) Contiguous() bool { return t.width == t.Cols && (t.stride == t.Cols || t.Rows <= 1) }

// Stride returns the distance between the starts of consecutive rows in elements.
func (t Tensor) Stride() int { return t.stride }

// Groups returns the layout of the columns: groups of width adjacent columns that start
// period elements apart. For a single group both are Cols.
func (t Tensor) Groups() (width, period int) { return t.width, t.period }

// Column returns the offset of column j from column 0 in elements.
func (t Tensor) Column(j int) int {
	if t.width == t.Cols {
		return j
	}
	return j/t.width*t.period + j%t.width
}

// Head returns a view of t's first n rows.
func (t Tensor) Head(n int) Tensor { return t.Slice(0, n) }

// Slice returns a view of the rows [from, to).
func (t Tensor) Slice(from, to int) Tensor {
	if from < 0 || to < from || to > t.Rows {
		panic(fmt.Sprintf("bindings: rows %d to %d of a tensor with %d rows", from, to, t.Rows))
	}
	t.offset += int64(from) * int64(t.stride) * t.DType.Size()
	t.Rows = to - from
	return t
}

// Columns returns a view of the columns [from, to). It panics if t has several groups.
func (t Tensor) Columns(from, to int) Tensor {
	if from < 0 || to < from || to > t.Cols || t.width != t.Cols {
		panic(fmt.Sprintf("bindings: columns %d to %d of %v", from, to, t))
	}
	t.offset += int64(from) * t.DType.Size()
	t.Cols = to - from
	t.width, t.period = t.Cols, t.Cols
	return t
}

// Every returns a view of columns [from, from+width) of every period columns, for
// example the queries of a fused projection with heads laid out [q, k, v], [q, k, v], …
// It has Cols/period·width columns.
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

// Reshape returns t's elements as [rows, cols]. It panics unless t is contiguous and
// has as many elements.
func (t Tensor) Reshape(rows, cols int) Tensor {
	if rows*cols != t.Len() || !t.Contiguous() {
		panic(fmt.Sprintf("bindings: %v reshaped to [%d, %d]", t, rows, cols))
	}
	t.Rows, t.Cols = rows, cols
	t.stride, t.width, t.period = cols, cols, cols
	return t
}

// As returns t's bytes as elements of another type of the same size. It panics if the size
// differs.
func (t Tensor) As(dtype DType) Tensor {
	if t.DType.Size() != dtype.Size() {
		panic(fmt.Sprintf("bindings: %v as %v", t, dtype))
	}
	t.DType = dtype
	return t
}

// Raw returns the bytes of a contiguous tensor, U8 [1, Bytes]. It panics unless t is contiguous.
func (t Tensor) Raw() Tensor {
	t = t.Reshape(1, t.Len())
	n := int(t.Bytes())
	t.DType, t.Cols, t.stride, t.width, t.period = U8, n, n, n, n
	return t
}

// Address returns the address of t's first element. It panics before the tensor's
// memory is allocated.
func (t Tensor) Address() unsafe.Pointer {
	if t.block == nil || t.block.Base == nil {
		panic("bindings: the tensor's memory is not allocated yet")
	}
	return unsafe.Add(t.block.Base, t.offset)
}

// Planned reports whether t has a place in a plan but no allocated memory yet.
func (t Tensor) Planned() bool { return t.block != nil && t.block.Base == nil }

// Overlaps reports whether t and u share bytes. Views of different columns of the same
// rows do not.
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

// end returns the offset after t's last element in bytes.
func (t Tensor) end() int64 {
	return t.offset + int64((t.Rows-1)*t.stride+t.span())*t.DType.Size()
}

// span returns the length of a row with its gaps in elements.
func (t Tensor) span() int { return t.Column(t.Cols-1) + 1 }

// meet reports whether the first a elements of every period and b elements of every
// period, apart elements later, have one in common.
func meet(period, apart, a, b int) bool {
	at := ((apart % period) + period) % period
	return at < a || at+b > period
}

// samePlace reports whether t and u are the same elements in the same order.
func (t Tensor) samePlace(u Tensor) bool {
	return t.block == u.block && t.offset == u.offset &&
		(t.Contiguous() && u.Contiguous() || t.stride == u.stride && t.width == u.width && t.period == u.period)
}

// same reports whether t and u are the same matrix.
func (t Tensor) same(u Tensor) bool {
	return t.samePlace(u) && t.Rows == u.Rows && t.Cols == u.Cols && t.DType == u.DType
}

// String returns the type and shape, as "F32[4, 8]".
func (t Tensor) String() string {
	if t.Absent() {
		return "absent"
	}
	return fmt.Sprintf("%v[%d, %d]", t.DType, t.Rows, t.Cols)
}
