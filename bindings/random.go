package bindings

// Random addresses the random numbers of one micro-batch. Whether an element is
// dropped is a pure function of Seed, Step, a stream, the row and the column
// (package philox), so backward draws the mask again.
type Random struct {
	Train bool // false: nothing is dropped and no noise added
	Seed  uint64
	Step  uint32 // micro-batches since the run began
}

// The random streams. Adapters count from 0; those of the model itself lie above.
const (
	ModelStream = 1 << 29 // dropout of the model's own: this and the place in it
	NoiseStream = 1 << 30 // the embeddings' noise
)
