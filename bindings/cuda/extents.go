package cuda

import (
	"unsafe"

	"qlora/bindings"
)

// An extent is memory that kernels may access. For a view of columns that is the first
// span bytes of every stride bytes, and of those the first width of every period; a
// stride or period of 0 means all of them.
type extent struct {
	name  string
	data  unsafe.Pointer
	bytes int64

	stride, span, period, width int64
}

// extents returns the operands of an operation by name. On the emulator an access to
// anything else is an error.
func extents(op bindings.Operation) []extent {
	var list []extent
	for _, o := range bindings.Operands(op) {
		list = appendExtent(list, o.Name(), o.Tensor)
	}
	return list
}

func appendExtent(list []extent, name string, t bindings.Tensor) []extent {
	if t.Absent() || t.Planned() || t.Bytes() == 0 {
		return list
	}
	e := extent{name: name, data: t.Address(), bytes: t.Bytes()}
	if !t.Contiguous() {
		size := t.DType.Size()
		e.stride, e.span = int64(t.Stride())*size, int64(t.Column(t.Cols-1)+1)*size
		e.bytes = int64(t.Rows-1)*e.stride + e.span
		if width, period := t.Groups(); width < t.Cols {
			e.width, e.period = int64(width)*size, int64(period)*size
		}
	}
	return append(list, e)
}

// weightExtents returns the present tensors of a 4-bit weight.
func weightExtents(q *bindings.Quantized) (list []extent) {
	list = appendExtent(list, "Codes", q.Codes)
	list = appendExtent(list, "Absmax", q.Absmax)
	list = appendExtent(list, "AbsmaxCodes", q.AbsmaxCodes)
	list = appendExtent(list, "NestedAbsmax", q.NestedAbsmax)
	list = appendExtent(list, "Map", q.Map)
	return appendExtent(list, "Offset", q.Offset)
}
