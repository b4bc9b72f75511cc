package cuda

import (
	"unsafe"

	"qlora/bindings"
)

// A composer turns operations into launches of kernels, and lays out what lies
// between them. Without launch it only plans: the same code then says how much
// scratch an operation takes.
type composer struct {
	scratch scratch
	logits  scratch // the memory for logits
	decoded int     // bytes of a weight's copy in bf16
	maps    maps
	launch  func(op any) // nil: planning
}

// do launches a kernel: op is a pointer to its struct.
func (c *composer) do(op any) {
	if c.launch != nil {
		c.launch(op)
	}
}

// A scratch hands out the workspace of one operation.
type scratch struct {
	base       unsafe.Pointer // nil: planning
	used, peak int64
}

// scratchAlignment is that of the memory itself.
const scratchAlignment = 256

// take is room for the next [rows, cols]. Rows of 16 bits begin on 16 bytes, so
// that any kernel may read them in whole vectors.
func (s *scratch) take(dtype bindings.DType, rows, cols int) tensor {
	t := tensor{rows: i64(rows), cols: i64(cols), stride: i64(cols), dtype: i32(dtype)}
	if rows > 1 && dtype.Size() == 2 {
		t.stride = (t.stride + 7) &^ 7
	}
	t.data = s.bytes(int64(rows) * int64(t.stride) * dtype.Size())
	return t
}

// bytes is room for n bytes.
func (s *scratch) bytes(n int64) unsafe.Pointer {
	at := s.used
	s.used += (n + scratchAlignment - 1) &^ (scratchAlignment - 1)
	s.peak = max(s.peak, s.used)
	if s.base == nil {
		return nil
	}
	return unsafe.Add(s.base, at)
}

// partials is room for pieces float32 sums of n elements each; absent where there
// is one piece and nothing to add up.
func (s *scratch) partials(pieces, n int) tensor {
	if pieces <= 1 {
		return tensor{}
	}
	return s.take(bindings.F32, pieces, n)
}

// inside lets use what scratch work takes, and gives it back.
func (c *composer) inside(work func()) {
	mark := c.scratch.used
	work()
	c.scratch.used = mark
}

// address is where t lies: nil where it is absent or only planned.
func address(t bindings.Tensor) unsafe.Pointer {
	if t.Absent() || t.Planned() {
		return nil
	}
	return t.Address()
}

// matrix is t as kernels see it; the zero tensor where t is absent.
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

// vector is t, a row or a column, as one row.
func vector(t bindings.Tensor) tensor {
	if t.Absent() {
		return tensor{}
	}
	return matrix(t.Reshape(1, t.Len()))
}

// columns is the view of t's columns [from, to), and rows that of its rows. Those of
// an absent tensor are absent.
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

// orOne is x, or 1 where an operation leaves a factor out.
func orOne(x float32) float {
	if x == 0 {
		return 1
	}
	return float(x)
}

// flag is b for C.
func flag(b bool) i32 {
	if b {
		return 1
	}
	return 0
}

// ceil is how many pieces of the given size cover n.
func ceil(n, size int) int { return (n + size - 1) / size }
