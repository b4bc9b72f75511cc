package bindings

// Random selects the random numbers of one micro-batch. A dropout mask is a pure
// function of Seed, Step, a stream, the row and the column (package philox), so
// backward draws the same mask. The zero value drops nothing.
type Random struct {
	Train bool // false: no dropout and no noise
	Seed  uint64
	Step  uint32 // micro-batches since the start of the run
	// Row is the place of the first token, of a part of a micro-batch: adapters draw the
	// masks that the whole would have. Operations with other random numbers refuse it.
	Row uint32
	// Device has Step and Row in the device's memory, I32 [1, 2], for work that is run
	// again with other numbers (Repeater). Absent: kernels are given the numbers.
	Device Tensor
}

func (r Random) declare(c *contract) {
	c.reads("Random.Device", r.Device, vector(2, I32).orAbsent())
}

// whole checks that an operation that draws numbers by the micro-batch has no part of one.
func (r Random) whole(c *contract, probability float32) {
	r.declare(c)
	if r.Row != 0 && r.Train && probability != 0 {
		c.fail("draws its random numbers for whole micro-batches, and this is a part from row %d on", r.Row)
	}
}

// The random streams. Adapters count from 0; the model's own streams are above.
const (
	ModelStream = 1 << 29 // base of the model's own dropout streams
	NoiseStream = 1 << 30 // noise on the embeddings
)
