package cuda

import "qlora/bindings"

const (
	// decodedBytes is the maximum size of the bf16 copy of a weight that a product
	// reads: a chunk of this size stays in the L2 cache until the product reads it.
	decodedBytes = 24 << 20
	// chunkUnit divides the size of chunks, in rows or columns: a multiple of a
	// product's tile, and for a 4-bit weight at least a block.
	chunkUnit = 128
	// fusedTokens is the largest batch for which the GEMM dequantizes 4-bit weights
	// inline. Each tile of tokens decodes the whole weight again, while a copy costs
	// the same for any number of tiles.
	fusedTokens = 256
	// fewTokens is the largest batch handled by the GEMV kernel.
	fewTokens = 8
)

// weightOf returns w as a kernel's weight.
func weightOf(w *bindings.Weight) weight {
	if w.EightBit != nil {
		panic("cuda: a weight in 8 bits, which the device's Info excludes")
	}
	k := weight{out: i32(w.Out), in: i32(w.In), dense: matrix(w.Dense)}
	q := w.Quantized
	if q == nil {
		return k
	}
	k.kind, k.block = i32(q.Kind), i32(q.BlockSize)
	k.codes = pointer[u8](q.Codes)
	if !q.Double() {
		k.absmax = pointer[float](q.Absmax)
		return k
	}
	k.absmax_codes, k.nested = pointer[u8](q.AbsmaxCodes), pointer[float](q.NestedAbsmax)
	k.nested_block, k._map, k.offset = i32(q.NestedBlockSize), pointer[float](q.Map), pointer[float](q.Offset)
	return k
}

// fused reports whether a product of that many tokens dequantizes w inline. This
// requires rows of whole slices of 64, each with one scale, whose index is a shift.
func fused(w *bindings.Weight, tokens int) bool {
	if w.Quantized == nil || tokens > fusedTokens {
		return false
	}
	block := w.Quantized.BlockSize
	return w.In%64 == 0 && block >= 64 && block&(block-1) == 0
}

// isBF16 reports whether products can read w directly.
func isBF16(w *bindings.Weight) bool { return w.Quantized == nil && w.Dense.DType == bindings.BF16 }

// chunkOf returns how many of n rows or columns of width elements are in a chunk.
func (c *composer) chunkOf(n, width int) int {
	return min(n, max(chunkUnit, c.decoded/2/max(1, width)/chunkUnit*chunkUnit))
}

// byRows calls do with w in bf16, step rows [from, to) at a time.
func (c *composer) byRows(w *bindings.Weight, step int, do func(from, to int, b tensor)) {
	for from := 0; from < w.Out; from += step {
		to := min(w.Out, from+step)
		c.inside(func() { do(from, to, c.expanded(w, from, to, 0, w.In)) })
	}
}

// byColumns calls do with w in bf16, step columns [from, to) at a time.
func (c *composer) byColumns(w *bindings.Weight, step int, do func(from, to int, b tensor)) {
	for from := 0; from < w.In; from += step {
		to := min(w.In, from+step)
		c.inside(func() { do(from, to, c.expanded(w, 0, w.Out, from, to)) })
	}
}

// expanded returns rows [row, rowEnd) and columns [col, colEnd) of w in bf16, in scratch
// unless w is bf16 already.
func (c *composer) expanded(w *bindings.Weight, row, rowEnd, col, colEnd int) tensor {
	if isBF16(w) {
		return columns(rows(matrix(w.Dense), row, rowEnd), col, colEnd)
	}
	y := c.scratch.take(bindings.BF16, rowEnd-row, colEnd-col)
	c.do(&decode{weight: weightOf(w), row: i64(row), col: i64(col), y: y})
	return y
}
