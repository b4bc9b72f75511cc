package bindings

// Random selects the random numbers of one micro-batch. A dropout mask is a pure
// function of Seed, Step, a stream, the row and the column (package philox), so
// backward draws the same mask. The zero value drops nothing.
type Random struct {
	Train bool // false: no dropout and no noise
	Seed  uint64
	Step  uint32 // micro-batches since the start of the run
}

// The random streams. Adapters count from 0; the model's own streams are above.
const (
	ModelStream = 1 << 29 // base of the model's own dropout streams
	NoiseStream = 1 << 30 // noise on the embeddings
)
