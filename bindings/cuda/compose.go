package cuda

import (
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cuda/waves"
)

// A composer translates operations to launches of kernels and allocates the scratch
// between them. Without launch it only plans: the same code then determines how much
// scratch an operation needs.
type composer struct {
	scratch scratch
	logits  scratch   // the memory for logits
	decoded int       // maximum bytes of a weight's copy in bf16
	whole   bool      // copies of whole weights are allowed
	gpu     waves.GPU // no processors: unknown
	maps    maps
	launch  func(op any) // takes a pointer to a struct, which it does not keep; nil: planning
	known   *known       // nil: nothing
	chunks  chunks       // nil: none are remembered
	room    *room        // nil: none yet
}

// planned reports whether the composer only plans.
func (c *composer) planned() bool { return c.launch == nil }

// short reports whether the scratch is too small for what was taken so far.
func (c *composer) short() bool { return c.scratch.short() || c.logits.short() }

// do launches a kernel with its struct k. What is launched is a copy in C's memory, so that k
// need not be in Go's heap.
func do[K any](c *composer, k *K) {
	if c.planned() || c.short() {
		return
	}
	at := (*K)(c.taken().call(unsafe.Sizeof(*k)))
	*at = *k
	c.launch(at)
}

// check launches the check of indices unless the device knows that they are valid.
func (c *composer) check(k *checkRange) {
	if c.planned() || c.known.add(k) {
		do(c, k)
	}
}

// known holds the vectors of indices that a kernel has checked since they were written: a step
// checks the positions of its tokens once and not in every layer.
type known struct{ checks map[checkedIndices]bool }

type checkedIndices struct {
	data          unsafe.Pointer
	n             i64
	limit, ignore i32
}

// add reports whether the indices have to be checked, and holds them.
func (s *known) add(k *checkRange) bool {
	if s == nil {
		return true
	}
	key := checkedIndices{k.values.data, k.values.rows * k.values.cols, k.limit, k.ignore}
	if s.checks[key] {
		return false
	}
	if s.checks == nil {
		s.checks = map[checkedIndices]bool{}
	}
	s.checks[key] = true
	return true
}

// overwritten forgets what is known if t can be indices.
func (s *known) overwritten(t bindings.Tensor) {
	if s != nil && t.DType == bindings.I32 {
		s.forget()
	}
}

// forget makes later operations check their indices again.
func (s *known) forget() { clear(s.checks) }

// A scratch allocates parts of the workspace for one operation.
type scratch struct {
	base       unsafe.Pointer // nil: planning
	used, peak int64
	bounded    bool
	room       int64 // bytes at base, if bounded
}

// scratchIn returns the scratch in a planned tensor, which may be absent.
func scratchIn(t bindings.Tensor) scratch {
	return scratch{base: address(t), bounded: true, room: t.Bytes()}
}

// short reports whether more was taken than there is.
func (s *scratch) short() bool { return s.bounded && s.peak > s.room }

// scratchAlignment is the alignment of the memory in bytes.
const scratchAlignment = 256

// take allocates the next [rows, cols]. Rows of 16-bit elements start on 16 bytes, so
// any kernel can read them in whole vectors.
func (s *scratch) take(dtype bindings.DType, rows, cols int) tensor {
	t := tensor{rows: i64(rows), cols: i64(cols), stride: i64(cols), dtype: i32(dtype)}
	if rows > 1 && dtype.Size() == 2 {
		t.stride = (t.stride + 7) &^ 7
	}
	t.data = s.bytes(int64(rows) * int64(t.stride) * dtype.Size())
	return t
}

// bytes allocates n bytes.
func (s *scratch) bytes(n int64) unsafe.Pointer {
	at := s.used
	s.used += (n + scratchAlignment - 1) &^ (scratchAlignment - 1)
	s.peak = max(s.peak, s.used)
	if s.base == nil || s.short() {
		return nil
	}
	return unsafe.Add(s.base, at)
}

// partials allocates float32 partial sums [pieces, n]; absent for a single piece, which
// needs none.
func (s *scratch) partials(pieces, n int) tensor {
	if pieces <= 1 {
		return tensor{}
	}
	return s.take(bindings.F32, pieces, n)
}

// inside runs work and frees the scratch it allocated.
func (c *composer) inside(work func()) {
	mark := c.scratch.used
	work()
	c.scratch.used = mark
}

// address returns the address of t, or nil if it is absent or only planned.
func address(t bindings.Tensor) unsafe.Pointer {
	if t.Absent() || t.Planned() {
		return nil
	}
	return t.Address()
}

// matrix returns t as a kernel's tensor; the zero tensor if t is absent.
func matrix(t bindings.Tensor) tensor {
	if t.Absent() {
		return tensor{}
	}
	k := tensor{data: address(t), rows: i64(t.Rows), cols: i64(t.Cols), stride: i64(t.Stride()), dtype: i32(t.DType)}
	if t.Contiguous() {
		k.stride = i64(t.Cols)
	}
	if width, period := t.Groups(); width < t.Cols {
		k.width, k.period = i32(width), i32(period)
	}
	return k
}

// vector returns t, a row or a column, as one row.
func vector(t bindings.Tensor) tensor {
	if t.Absent() {
		return tensor{}
	}
	return matrix(t.Reshape(1, t.Len()))
}

// columns returns a view of t's columns [from, to), and rows of its rows. A view of an
// absent tensor is absent.
func columns(t tensor, from, to int) tensor {
	if t.cols == 0 {
		return t
	}
	t.cols = i64(to - from)
	return moved(t, int64(from))
}

func rows(t tensor, from, to int) tensor {
	if t.rows == 0 {
		return t
	}
	t.rows = i64(to - from)
	return moved(t, int64(from)*int64(t.stride))
}

func moved(t tensor, elements int64) tensor {
	if t.data != nil {
		t.data = unsafe.Add(t.data, elements*bindings.DType(t.dtype).Size())
	}
	return t
}

func pointer[T any](t bindings.Tensor) *T { return (*T)(address(t)) }

// orOne returns x, or 1 if x is 0.
func orOne(x float32) float {
	if x == 0 {
		return 1
	}
	return float(x)
}

// flag returns b as a C integer.
func flag(b bool) i32 {
	if b {
		return 1
	}
	return 0
}

// ceil returns the number of pieces of the given size that cover n.
func ceil(n, size int) int { return (n + size - 1) / size }
