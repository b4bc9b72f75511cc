package cuda

import "qlora/bindings"

const (
	// pulledRank is the largest rank whose U and DB are computed in one pass over DY. The
	// partial sums of a larger one cost more than the second pass.
	pulledRank = 32
	// pulledOuts is the number of columns of DY of a block.
	pulledOuts = 512
	// pulledBlocks is the number of blocks of a launch: the multiprocessors of a large GPU.
	pulledBlocks = 128
	// pulledTokens is the smallest piece of the tokens.
	pulledTokens = 128
)

// A pulling is a part whose U = Scale·dy·B is computed, and if it is trained DB += Scale·dyᵀ·XA.
type pulling struct {
	part  *bindings.PartBackward
	dy, u tensor
}

// pull computes U and DB of parts, in one pass over each dy if all are trained.
func (c *composer) pull(parts []pulling) {
	outs := 0
	for _, p := range parts {
		if p.part.DB.Absent() || p.part.Linear.Adapter.Rank() > pulledRank {
			for _, p := range parts {
				c.pullTwice(p)
			}
			return
		}
		outs += ceil(int(p.dy.cols), pulledOuts)
	}
	tokens := int(parts[0].dy.rows)
	c.inside(func() {
		all := pulls{count: i32(len(parts)), pieces: i32(pulledPieces(tokens, outs))}
		for i, p := range parts {
			a := p.part.Linear.Adapter
			all.of[i] = pull{
				dy: p.dy, b: matrix(a.B), xa: matrix(p.part.XA), u: p.u, db: matrix(p.part.DB), scale: float(a.Scale),
				u_workspace:  c.scratch.take(bindings.F32, ceil(int(p.dy.cols), pulledOuts)*tokens, a.Rank()),
				db_workspace: c.scratch.take(bindings.F32, int(all.pieces)*int(p.dy.cols), a.Rank()),
			}
		}
		do(c, &all)
	})
}

// pulledPieces returns how many pieces tokens are cut into beside so many pieces of DY's columns: a
// function of the shape alone, so that no bit depends on the device.
func pulledPieces(tokens, columns int) int {
	return max(1, min(pulledBlocks/columns, ceil(tokens, pulledTokens)))
}

// pullTwice computes U and DB as products.
func (c *composer) pullTwice(p pulling) {
	a := p.part.Linear.Adapter
	c.multiply(product{layout: layoutNN, a: p.dy, b: matrix(a.B), c: p.u, scale: float(a.Scale)})
	if !p.part.DB.Absent() {
		c.multiply(product{layout: layoutTN, a: p.dy, b: matrix(p.part.XA), c: matrix(p.part.DB), scale: float(a.Scale), accumulate: 1})
	}
}
