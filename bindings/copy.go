package bindings

import "slices"

// Zero sets a tensor to 0.
type Zero struct {
	T Tensor
}

// Copy copies Src to Dst of the same shape and converts between float types. Both may
// be views. With Rows it copies row i to row Rows[i] of a Dst of any number of rows, and no two to
// one.
type Copy struct {
	Dst, Src Tensor
	Rows     Tensor // I32 [1, rows of Src]; absent: in order
}

// Name returns "zero".
func (*Zero) Name() string { return "zero" }

func (op *Zero) declare(c *contract) {
	c.writes("T", op.T, form{any: true, types: typesOf(F32, BF16, F16, I32, I64, U8)})
}

// Name returns "copy".
func (*Copy) Name() string { return "copy" }

func (op *Copy) declare(c *contract) {
	all := []DType{F32, BF16, F16, I32, U8}
	c.reads("Src", op.Src, form{any: true, view: true, types: typesOf(all...)})
	if op.Rows.Absent() {
		c.writes("Dst", op.Dst, matrix(op.Src.Rows, op.Src.Cols, all...).asView())
	} else {
		c.reads("Rows", op.Rows, vector(op.Src.Rows, I32))
		c.updates("Dst", op.Dst, matrix(op.Dst.Rows, op.Src.Cols, all...).asView())
	}
	isFloat := func(t Tensor) bool { return slices.Contains(floats, t.DType) }
	if op.Dst.DType != op.Src.DType && (!isFloat(op.Dst) || !isFloat(op.Src)) {
		c.fail("%v cannot become %v", op.Src, op.Dst)
	}
}

// CheckQuantize returns an error if n bytes of the given type cannot be quantized
// into dst.
func CheckQuantize(dst *Weight, n int, dtype DType) error {
	c := contract{op: "quantize"}
	if dst.Quantized == nil {
		c.fail("the weight is not a 4-bit weight")
		return c.err
	}
	c.quantized(dst, Writes)
	c.that(dst.Quantized.Kind.Quantizes(), "to %v; that code is supported for reading only", dst.Quantized.Kind)
	c.that(slices.Contains(floats, dtype), "from %v; it must be F32, BF16 or F16", dtype)
	if dst.Quantized.Double() {
		c.that(dst.Quantized.NestedBlockSize == NestedBlockSize,
			"nested blocks of %d scales are supported for reading only; they must have %d", dst.Quantized.NestedBlockSize, NestedBlockSize)
	}
	want := int64(dst.Out) * int64(dst.In) * dtype.Size()
	c.that(int64(n) == want, "%d bytes for [%d, %d] of %v; it must be %d", n, dst.Out, dst.In, dtype, want)
	return c.err
}
