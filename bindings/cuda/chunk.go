package cuda

import "qlora/bindings/cuda/waves"

// decodedBytes is the maximum size of the bf16 copy of a weight that a product reads. It is in
// the plan. With 64 MB the weights of a model of 8 billion fill their waves on the GPUs of
// waves' test; a whole weight fills them no better.
const decodedBytes = 64 << 20

// chunkOf returns how many of n rows or columns of width elements, of one weight or several, a product of that many
// tokens decodes at a time. A plan, for a GPU that is not known, has the most.
func (c *composer) chunkOf(n, width, tokens int) int {
	most := waves.Most(n, width, c.decoded)
	if c.planned() || c.processors == 0 {
		return most
	}
	return waves.Part(n, width, tokens, most, c.processors)
}
