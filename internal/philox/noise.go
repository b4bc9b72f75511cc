package philox

// Noise draws the noise added to embeddings: the element of a [tokens, features]
// activation is a function of the seed, the step, the stream and the element's row and
// column. Four columns share a block:
//
//	fraction = upper 24 bits of number col%4 of Block(Key(seed), {col/4, row, stream, step})
//	noise    = bound·(2·fraction - 1)
//
// The noise is uniform in [-bound, bound).
type Noise struct {
	key    [2]uint32
	stream uint32
	step   uint32
	bound  float32
}

// NewNoise returns the noise of one stream and step.
func NewNoise(seed uint64, stream, step uint32, bound float32) Noise {
	return Noise{key: Key(seed), stream: stream, step: step, bound: bound}
}

// Add adds the noise of a row, starting at column 0, to x.
func (n *Noise) Add(x []float32, row int) {
	for col := 0; col < len(x); col += 4 {
		b := Block(n.key, [4]uint32{uint32(col / 4), uint32(row), n.stream, n.step})
		for i := range min(4, len(x)-col) {
			x[col+i] += n.bound * (float32(b[i]>>8)/(1<<23) - 1)
		}
	}
}
