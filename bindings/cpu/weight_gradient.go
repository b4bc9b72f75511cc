package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
	"qlora/bindings/cpu/vector"
)

// A weightGradient is the state of DWeight += DYᵀ·X. Activations in bfloat16 are exact as
// operands of bfloat16, so the sums are those of float32.
type weightGradient struct {
	part    *bindings.PartBackward
	x       bindings.Tensor
	family  kernels.Family
	chunk   int    // tokens
	dy      panels // DYᵀ, [out, chunk]
	size    cut
	workers []worker
}

func newWeightGradient(p *profile, op *bindings.ProjectBackward, part *bindings.PartBackward, s *scratch) *weightGradient {
	f, w := p.families.of(op.X.DType), &part.Linear.Weight
	c := &weightGradient{part: part, x: op.X, family: f, chunk: chunkOf(f, op.X.Rows, w.Out)}
	c.size = p.cutOf(f, w.Out, w.In)
	c.dy = leftPanels(f, s, w.Out, c.chunk)
	c.workers = p.workers(f, s, c.size, false)
	return c
}

// run adds the products of chunks of tokens in order.
func (c *weightGradient) run(d *Device) {
	out, in := c.dy.lines, c.x.Cols
	pieces := c.size.pieces(nil, c.family.Info(), 0, out, in)
	block := d.blockOf(c.family, out)
	dw := rowsOf(c.part.DWeight)
	for first := 0; first < c.x.Rows; first += c.chunk {
		dy, x := operandOf(c.part.DY).At(first, 0).T(), operandOf(c.x).At(first, 0).T()
		left := c.dy
		left.depth = min(c.chunk, c.x.Rows-first)
		d.parallel(tiles(out, block), func(lane, i int) {
			c.workers[lane].pack(&left, &dy, i*block, min(block, out-i*block), 1)
		})
		d.parallel(len(pieces), func(lane, i int) {
			w, at := &c.workers[lane], &pieces[i]
			right := x.At(at.col, 0)
			w.multiply(at, &right, factor{&left, w.sums, false})
			to := dw.Slice(at.row, at.row+at.rows).Columns(at.col, at.col+at.cols)
			vector.Store(to, w.sums, at.cols, &vector.Epilogue{Residual: to})
		})
	}
}
