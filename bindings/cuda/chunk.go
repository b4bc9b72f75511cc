package cuda

import "qlora/bindings/cuda/waves"

// decodedBytes is the maximum size of the bf16 copy of a weight that a product reads. It is in
// the plan, as much of it as the largest weight takes. With 128 MB each weight of a model of 8
// billion can be whole, which pays where the tokens are few: by the model in waves, products of
// 1,024 tokens take a quarter less on 132 processors than in parts of 64 MB, of 8,192 the same.
const decodedBytes = 128 << 20

// chunkOf returns how many of n rows or columns of width elements, of one weight or several, a product of that many
// tokens decodes at a time. A plan, for a GPU that is not known, has the most.
func (c *composer) chunkOf(n, width, tokens int) int {
	most := waves.Most(n, width, c.decoded)
	if c.planned() || c.processors == 0 {
		return most
	}
	return waves.Part(n, width, tokens, most, c.processors)
}
