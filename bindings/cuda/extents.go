package cuda

import (
	"unsafe"

	"qlora/bindings"
)

// An extent is memory that kernels may touch.
type extent struct {
	name  string
	data  unsafe.Pointer
	bytes int64
}

// extents lists the operands of an operation by their names. On the emulator a
// kernel that touches anything else is at fault.
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
	n := int64((t.Rows-1)*t.Stride() + t.Column(t.Cols-1) + 1)
	return append(list, extent{name, t.Address(), n * t.DType.Size()})
}

// weightExtents lists what of a weight in 4 bits is there.
func weightExtents(q *bindings.Quantized) (list []extent) {
	list = appendExtent(list, "Codes", q.Codes)
	list = appendExtent(list, "Absmax", q.Absmax)
	list = appendExtent(list, "AbsmaxCodes", q.AbsmaxCodes)
	list = appendExtent(list, "NestedAbsmax", q.NestedAbsmax)
	list = appendExtent(list, "Map", q.Map)
	return appendExtent(list, "Offset", q.Offset)
}
