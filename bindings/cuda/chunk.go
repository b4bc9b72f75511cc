package cuda

import (
	"math"

	"qlora/bindings/cuda/waves"
)

// decodedBytes is the maximum size of the bf16 copy of a weight that a product reads, unless
// the operation allows copies of whole weights. It is in the plan, as much of it as the largest
// weight takes. With 128 MB each weight of a model of 8 billion can be whole, but not gate and up
// together.
const decodedBytes = 128 << 20

// chunks are the parts that a device has chosen: a step asks for few shapes, each once a layer.
type chunks map[chunkShape]int

// A chunkShape is what a choice depends on.
type chunkShape struct{ n, width, tokens, most int }

// chunkOf returns how many of n rows or columns of width elements, of one weight or several, a product of that many
// tokens decodes at a time. A plan, for a GPU that is not known, has the most.
func (c *composer) chunkOf(n, width, tokens int) int {
	bytes := c.decoded
	if c.whole {
		bytes = math.MaxInt
	}
	most := waves.Most(n, width, bytes)
	if c.planned() || c.gpu.Processors == 0 {
		return most
	}
	shape := chunkShape{n, width, tokens, most}
	part, chosen := c.chunks[shape]
	if !chosen {
		part = c.gpu.Part(n, width, tokens, most)
		if c.chunks != nil {
			c.chunks[shape] = part
		}
	}
	return part
}
