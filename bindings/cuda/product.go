package cuda

import "qlora/bindings"

const (
	// productTile is the edge of a product's tile, and depthTile the least of the
	// contraction that is worth a block of its own.
	productTile, depthTile = 64, 256
	// grid is how many blocks a product of few tiles is cut into: what an H100 has
	// processors. It is the same for every device, so that no bit depends on which.
	grid = 132
)

// splits is how many pieces the contraction of a product [m, n] over k is summed in.
func splits(m, n, k int) int {
	tiles := ceil(m, productTile) * ceil(n, productTile)
	return max(1, min(grid/max(1, tiles), k/depthTile))
}

// multiply launches a product, cut along its contraction where its result is small.
func (c *composer) multiply(p product) {
	m, n, k := int(p.c.rows), int(p.c.cols), int(p.a.cols)
	if p.layout == layoutTN {
		k = int(p.a.rows)
	}
	p.splits = 1
	if p.a2.rows == 0 {
		p.splits = i32(splits(m, n, k))
		c.reserve(m, n, k)
	}
	c.inside(func() {
		p.workspace = c.scratch.partials(int(p.splits), m*n)
		c.do((*gemm)(&p))
	})
}

// reserve plans for the partial sums of products of fewer rows, too, which may be cut
// into more pieces: a plan for the largest micro-batch has to do for all.
func (c *composer) reserve(m, n, k int) {
	for rows := min(m, productTile); ; rows = min(m, rows+productTile) {
		c.inside(func() { c.scratch.partials(splits(rows, n, k), rows*n) })
		if rows == m {
			return
		}
	}
}

// withDropout is p with an adapter's mask, where it drops anything.
func withDropout(p product, r bindings.Random, a *bindings.Adapter, of i32) product {
	if drops(r, a) {
		p.mask_on, p.mask = of, maskOf(r, a.Stream, a.Dropout)
	}
	return p
}
