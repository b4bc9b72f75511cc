package cuda

import (
	"qlora/bindings"
	"qlora/bindings/cuda/waves"
)

// decodedBytes is the maximum size of the bf16 copy of a weight that a product reads. It is in
// the plan. With 64 MB the weights of a model of 8 billion fill their waves on the GPUs of
// waves' test; a whole weight fills them no better.
const decodedBytes = 64 << 20

// chunkOf returns how many of n rows or columns of width elements a product of that many
// tokens decodes at a time. A plan, for a GPU that is not known, has the most.
func (c *composer) chunkOf(n, width, tokens int) int {
	most := waves.Most(n, width, c.decoded)
	if c.planned() || c.processors == 0 {
		return most
	}
	return waves.Part(n, width, tokens, most, c.processors)
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
