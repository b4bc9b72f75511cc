package conformance

import "qlora/bindings"

// A nextRow is the norm of what a norm writes, in its pass and again alone.
type nextRow struct {
	op, alone *bindings.Norm
	ref       normalizer
	y, z      *operand // what they write
}

func newNextRow(f *fixture, c normCase, x *operand) *nextRow {
	const eps = 1e-6
	w := f.input("Next.Weight", c.dtype, 1, c.cols, 1)
	n := &nextRow{y: f.output("Next.Y", f.act, c.rows, c.cols), z: f.output("Y normalized alone", f.act, c.rows, c.cols)}
	n.op = &bindings.Norm{X: x.Tensor, Weight: w.Tensor, Offset: float32(c.offset), Centered: c.centered, Eps: eps, Y: n.y.Tensor}
	n.ref = normalizer{Weight: w.values, Offset: c.offset, Centered: c.centered, Eps: eps}
	if c.bias {
		b := f.input("Next.Bias", c.dtype, 1, c.cols, 1)
		n.op.Bias, n.ref.Bias = b.Tensor, b.values
	}
	alone := *n.op
	alone.Y = n.z.Tensor
	n.alone = &alone
	return n
}

// check compares with the norm of what is stored in x, and the two ways with each other: they have the same bits.
func (n *nextRow) check(x *operand) {
	x.f.t.Helper()
	stored, want := x.numbers(), make([]float64, 0, x.Len())
	for i := range x.Rows {
		want = append(want, n.ref.forward(stored[i*x.Cols:(i+1)*x.Cols])...)
	}
	n.y.equals(x.Cols, want)
	together, alone := n.y.numbers(), n.z.numbers()
	for i, v := range together {
		if v != alone[i] {
			x.f.t.Fatalf("row %d, column %d is %g in one pass and %g in two", i/x.Cols, i%x.Cols, v, alone[i])
		}
	}
}
