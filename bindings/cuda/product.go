package cuda

import (
	"slices"

	"qlora/bindings"
)

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
func (c *composer) multiply(p product) { c.multiplyParts([]product{p}, int(p.c.cols)) }

// multiplyParts launches products of one shape but for the columns of their results, which are
// columns of results of n columns in all. The contractions are cut as a product's of all n, so
// that no bit depends on the parts.
func (c *composer) multiplyParts(ps []product, n int) { c.multiplyGated(ps, n, gated{}) }

// multiplyGated also computes the activation of two products' results, if y is present.
func (c *composer) multiplyGated(ps []product, n int, y gated) {
	m, k := int(ps[0].c.rows), int(ps[0].a.cols)
	if ps[0].layout == layoutTN {
		k = int(ps[0].a.rows)
	}
	cut := 1
	if !slices.ContainsFunc(ps, func(p product) bool { return p.a2.rows > 0 }) {
		cut = splits(m, n, k)
		c.reserve(ps, m, n, k)
	}
	c.inside(func() {
		for i := range ps {
			ps[i].splits = i32(cut)
			ps[i].workspace = c.scratch.partials(cut, m*int(ps[i].c.cols))
		}
		c.doParts(ps, false, y)
	})
}

// sum launches the sum of products in columns of a result of n columns, the first one's C, which
// alone has an extension.
func (c *composer) sum(ps []product, n int) {
	if len(ps) == 1 {
		c.multiplyParts(ps, n)
		return
	}
	for i := range ps {
		ps[i].splits = 1
	}
	c.doParts(ps, true, gated{})
}

// doParts launches products in one launch.
func (c *composer) doParts(ps []product, summed bool, y gated) {
	if len(ps) == 1 {
		do(c, (*gemm)(&ps[0]))
		return
	}
	all := products{count: i32(len(ps)), summed: flag(summed), gated: y}
	copy(all.of[:], ps)
	do(c, &all)
}

// reserve also plans the partial sums of products of fewer rows, which may have more
// pieces: a plan for the largest micro-batch must suffice for all.
func (c *composer) reserve(ps []product, m, n, k int) {
	if !c.planned() {
		return
	}
	for rows := min(m, productTile); ; rows = min(m, rows+productTile) {
		c.inside(func() {
			for i := range ps {
				c.scratch.partials(splits(rows, n, k), rows*int(ps[i].c.cols))
			}
		})
		if rows == m {
			return
		}
	}
}

// withDropout returns p with the adapter's mask, if it has dropout.
func withDropout(p product, r bindings.Random, a *bindings.Adapter, of i32) product {
	if drops(r, a) {
		p.mask_on, p.mask, p.mask_row = of, maskOf(r, a.Stream, a.Dropout), i32(r.Row)
		if !r.Device.Absent() {
			p.mask_row = 0 // the mask has it
		}
	}
	return p
}
