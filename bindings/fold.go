package bindings

import (
	"math"
	"math/bits"
)

// FixedPoint is the number of fractional bits of summed gradients: they are whole
// multiples of 2^-44. Whole numbers add up to the same bits in any order, so a gradient
// depends neither on which rank computed which part nor on how a library adds.
const FixedPoint = 44

// FoldLimit returns the Limit of gradients of which that many are added, a power of 2: their
// sum stays below 2^63 steps.
func FoldLimit(terms int) float32 {
	return float32(math.Ldexp(1, 63-FixedPoint-bits.Len(uint(max(1, terms)-1))))
}

// SumsLen returns the number of elements of the sums of params: one for each element of a
// gradient, in order, and the mark.
func SumsLen(params []Param) int {
	n := 1
	for i := range params {
		n += params[i].Grad.Len()
	}
	return n
}

// Fold adds gradients to their sums in fixed point, and sets them to 0:
//
//	Sums[i] += round(Grad[i]·2^44)    Grad[i] = 0
//
// round is to the nearest, ties to even. A gradient that is not below Limit is not added;
// the last element of Sums, the mark, becomes 1.
type Fold struct {
	Params []Param
	Sums   Tensor  // I64 [1, SumsLen]
	Limit  float32 // above 0, at most FoldLimit(1)
}

// Unfold computes gradients from their sums:
//
//	Grad[i] = Sums[i]·2^-44, rounded to float32      NaN if the mark is not 0
type Unfold struct {
	Params []Param
	Sums   Tensor // I64 [1, SumsLen]
}

// Round rounds gradients as Fold and Unfold of a single one do:
//
//	Grad[i] = round(Grad[i]·2^44)·2^-44              NaN if not below Limit
type Round struct {
	Params []Param
	Limit  float32 // above 0, at most FoldLimit(1)
}

// Name returns "fold".
func (*Fold) Name() string { return "fold" }

// Name returns "unfold".
func (*Unfold) Name() string { return "unfold" }

// Name returns "round".
func (*Round) Name() string { return "round" }

func (op *Fold) declare(c *contract) {
	c.updates("Sums", op.Sums, vector(SumsLen(op.Params), I64))
	c.limit(op.Limit)
	c.gradients(op.Params, Updates)
}

func (op *Unfold) declare(c *contract) {
	c.reads("Sums", op.Sums, vector(SumsLen(op.Params), I64))
	c.gradients(op.Params, Writes)
}

func (op *Round) declare(c *contract) {
	c.limit(op.Limit)
	c.gradients(op.Params, Updates)
}

func (c *contract) limit(limit float32) {
	c.that(limit > 0 && limit <= FoldLimit(1), "Limit is %g; it must be above 0 and at most %g", limit, FoldLimit(1))
}

// gradients declares all gradients.
func (c *contract) gradients(params []Param, access Access) {
	for i := range params {
		p := &params[i]
		c.layer = p.Name
		c.operand("Grad", p.Grad, access, matrix(p.Grad.Rows, p.Grad.Cols, F32))
	}
}
