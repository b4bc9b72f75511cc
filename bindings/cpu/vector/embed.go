package vector

// #include "vector.h"
import "C"

import "unsafe"

// Noise draws the same numbers as package philox's Noise.
type Noise struct{ c C.struct_noise }

// NewNoise returns the noise of one stream and step, uniform in [-bound, bound).
func NewNoise(seed uint64, stream, step uint32, bound float32) Noise {
	return Noise{C.struct_noise{key: keyOf(seed), stream: C.uint32_t(stream), step: C.uint32_t(step), bound: C.float(bound)}}
}

// Embed computes y[t] = scale·(table[ids[t]] + noise), or adds it to y[t]. n may be nil; row
// is the number of the first row. ids must be rows of the table.
func Embed(y, table Rows, ids []int32, accumulate bool, scale float32, n *Noise, row int) {
	same(y.count, len(ids))
	same(y.cols, table.cols)
	var draw *C.struct_noise
	if n != nil {
		draw = &n.c
	}
	C.vector_embed(y.kind(), y.rows(), table.kind(), table.rows(), integers(ids), C.long(y.count), C.long(y.cols), flag(accumulate),
		C.float(scale), draw, C.uint32_t(row))
}

// EmbedBackward computes table[ids[t]] += scale·dy[t], in the order of the rows, for ids
// other than pad. The table is in float32; ids must be rows of it.
func EmbedBackward(table, dy Rows, ids []int32, pad int32, scale float32) {
	same(dy.count, len(ids))
	same(dy.cols, table.cols)
	same(int(table.dtype), int(F32))
	C.vector_embed_backward((*C.float)(table.first), C.long(table.stride), dy.kind(), dy.rows(), integers(ids), C.long(dy.count), C.long(dy.cols),
		C.int32_t(pad), C.float(scale))
}

func integers(x []int32) *C.int32_t { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x))) }

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
