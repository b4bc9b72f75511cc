package bindings

import "math"

// SquareSums computes the sums that GradNorm adds up, so that devices which each have a part
// of the gradients find the norm of all, with the bits that one device computes: a part
// begins and ends with a piece. The sums are float64, of which Out has the bits.
//
//	Out[j] = Σ Grad[i]² of piece j
type SquareSums struct {
	Params []Param
	Piece  int    // Info.Squares.Piece: the last piece of each gradient may be shorter
	Out    Tensor // I64 [1, Pieces(Params, Piece)]
}

// Squares is the order in which a device adds the squares of gradients.
type Squares struct {
	Piece int // elements of a gradient that are added first, a multiple of 256
	Lanes int // a power of 2: the sum of piece i is added to lane i mod Lanes; lanes add up as a tree
}

// Join adds the sums of all pieces.
func (s Squares) Join(sums []float64) float64 {
	lanes := make([]float64, s.Lanes)
	for i, x := range sums {
		lanes[i%s.Lanes] += x
	}
	for n := s.Lanes / 2; n > 0; n /= 2 {
		for i := range n {
			lanes[i] += lanes[i+n]
		}
	}
	return lanes[0]
}

// Clip returns GradNorm's Out from the sum of all squares.
func Clip(squares float64, limit float32) (norm, factor float32) {
	norm = float32(math.Sqrt(squares))
	switch {
	case !(norm <= math.MaxFloat32): // infinite or NaN
		return norm, float32(math.NaN())
	case limit > 0:
		return norm, min(1, limit/(norm+1e-6))
	}
	return norm, 1
}

// Pieces returns the number of pieces of the gradients of params.
func Pieces(params []Param, piece int) int {
	n := 0
	for i := range params {
		n += (params[i].Grad.Len() + piece - 1) / piece
	}
	return n
}

// Name returns "square sums".
func (*SquareSums) Name() string { return "square sums" }

func (op *SquareSums) declare(c *contract) {
	if c.that(op.Piece > 0, "Piece is %d", op.Piece); op.Piece <= 0 {
		return
	}
	c.writes("Out", op.Out, vector(Pieces(op.Params, op.Piece), I64))
	c.gradients(op.Params, Reads)
}
