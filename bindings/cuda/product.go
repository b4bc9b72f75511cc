package cuda

import "qlora/bindings"

const (
	// productTile is the side of a product's tile, and depthTile the smallest part of
	// the contraction for a separate block.
	productTile, depthTile = 64, 256
	// grid is the number of blocks of a product of few tiles: the multiprocessors of an
	// H100. It is the same on every device, so that results are bit-identical.
	grid = 132
)

// splits returns the number of pieces of the contraction of a product [m, n] over k.
func splits(m, n, k int) int {
	tiles := ceil(m, productTile) * ceil(n, productTile)
	return max(1, min(grid/max(1, tiles), k/depthTile))
}

// multiply launches a product. It splits the contraction if the result is small.
func (c *composer) multiply(p product) { c.multiplyPart(p, int(p.c.cols)) }

// multiplyPart launches columns of a product of n columns. The contraction is cut as the
// whole product's, so that no bit depends on the parts.
func (c *composer) multiplyPart(p product, n int) {
	m, cols, k := int(p.c.rows), int(p.c.cols), int(p.a.cols)
	if p.layout == layoutTN {
		k = int(p.a.rows)
	}
	p.splits = 1
	if p.a2.rows == 0 {
		p.splits = i32(splits(m, n, k))
		c.reserve(m, n, cols, k)
	}
	c.inside(func() {
		p.workspace = c.scratch.partials(int(p.splits), m*cols)
		c.do((*gemm)(&p))
	})
}

// reserve also plans the partial sums of products of fewer rows, which may have more
// pieces: a plan for the largest micro-batch must suffice for all.
func (c *composer) reserve(m, n, cols, k int) {
	if !c.planned() {
		return
	}
	for rows := min(m, productTile); ; rows = min(m, rows+productTile) {
		c.inside(func() { c.scratch.partials(splits(rows, n, k), rows*cols) })
		if rows == m {
			return
		}
	}
}

// withDropout returns p with the adapter's mask, if it has dropout.
func withDropout(p product, r bindings.Random, a *bindings.Adapter, of i32) product {
	if drops(r, a) {
		p.mask_on, p.mask, p.mask_row = of, maskOf(r, a.Stream, a.Dropout), i32(r.Row)
	}
	return p
}
