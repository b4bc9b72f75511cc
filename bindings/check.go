package bindings

import (
	"fmt"
	"slices"
)

// A checker collects the first thing that is wrong with an operation. Its
// methods do nothing once there is one.
type checker struct {
	op  string
	err error
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(c.op+": "+format, args...)
	}
}

func (c *checker) that(ok bool, format string, args ...any) {
	if !ok {
		c.fail(format, args...)
	}
}

// matrix says that t is a [rows, cols] of one of the types.
func (c *checker) matrix(name string, t Tensor, rows, cols int, types ...DType) {
	switch {
	case t.Absent():
		c.fail("%s is absent; it has to be [%d, %d]", name, rows, cols)
	case t.Rows != rows || t.Cols != cols:
		c.fail("%s is %v; it has to be [%d, %d]", name, t, rows, cols)
	default:
		c.dtype(name, t, types...)
	}
}

// vector says that t has n elements of one of the types, in a row or a column.
func (c *checker) vector(name string, t Tensor, n int, types ...DType) {
	switch {
	case t.Absent():
		c.fail("%s is absent; it has to have %d elements", name, n)
	case t.Rows != 1 && t.Cols != 1 || t.Len() != n:
		c.fail("%s is %v; it has to be a vector of %d elements", name, t, n)
	default:
		c.dtype(name, t, types...)
	}
}

func (c *checker) dtype(name string, t Tensor, types ...DType) {
	if !slices.Contains(types, t.DType) {
		c.fail("%s is %v; its type has to be one of %v", name, t, types)
	}
}

// activation says that t, the operation's leading tensor, is there in a type
// that activations have. The other activations are then held to t's type.
func (c *checker) activation(name string, t Tensor) {
	if t.Absent() {
		c.fail("%s is absent", name)
		return
	}
	c.dtype(name, t, F32, BF16)
}

// A tensor and what the operation calls it.
type named struct {
	name string
	t    Tensor
}

// apart says that an output shares no bytes with any of the others.
func (c *checker) apart(out named, others ...named) {
	for _, o := range others {
		if out.t.Overlaps(o.t) {
			c.fail("%s lies over %s", out.name, o.name)
		}
	}
}

// sameOrApart says that an output is exactly the other tensor or shares nothing
// with it.
func (c *checker) sameOrApart(out, other named) {
	if out.t.block != other.t.block || out.t.offset != other.t.offset {
		c.apart(out, other)
	}
}

// weight says that w is one [out, in] matrix.
func (c *checker) weight(name string, w *Weight) {
	if w.Quantized == nil {
		c.matrix(name, w.Dense, w.Out, w.In, F32, BF16, F16)
		return
	}
	c.that(w.Dense.Absent(), "%s is both dense and in 4 bits", name)
	q := w.Quantized
	n := w.Out * w.In
	if q.BlockSize <= 0 || q.BlockSize%2 != 0 {
		c.fail("%s has a block size of %d; it has to be even", name, q.BlockSize)
		return
	}
	blocks := (n + q.BlockSize - 1) / q.BlockSize
	c.vector(name+".Codes", q.Codes, (n+1)/2, U8)
	if !q.Double() {
		c.vector(name+".Absmax", q.Absmax, blocks, F32)
		return
	}
	if q.NestedBlockSize <= 0 {
		c.fail("%s has a nested block size of %d", name, q.NestedBlockSize)
		return
	}
	c.vector(name+".AbsmaxCodes", q.AbsmaxCodes, blocks, U8)
	c.vector(name+".NestedAbsmax", q.NestedAbsmax, (blocks+q.NestedBlockSize-1)/q.NestedBlockSize, F32)
	c.vector(name+".Map", q.Map, 256, F32)
	c.vector(name+".Offset", q.Offset, 1, F32)
}

// sequences says that s cuts rows rows.
func (c *checker) sequences(name string, s *Sequences, rows int) {
	switch n := len(s.Starts); {
	case n < 2:
		c.fail("%s has no sequence", name)
	case s.Starts[0] != 0 || int(s.Starts[n-1]) != rows:
		c.fail("%s goes from row %d to %d; it has to go from 0 to %d", name, s.Starts[0], s.Starts[n-1], rows)
	case !slices.IsSorted(s.Starts):
		c.fail("%s is not in ascending order", name)
	case !s.Device.Absent():
		c.dtype(name+".Device", s.Device, I32)
		c.that(s.Device.Len() >= n, "%s.Device has %d elements; it has to have %d", name, s.Device.Len(), n)
	}
}
