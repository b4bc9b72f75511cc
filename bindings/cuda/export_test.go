package cuda

// SetDecoded sets the size in bytes of bf16 copies of weights, for tests of weights
// decoded in chunks.
func (d *Device) SetDecoded(bytes int) { d.decoded = bytes }
