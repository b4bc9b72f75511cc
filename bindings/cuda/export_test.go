package cuda

// SetDecoded makes copies of weights in bf16 smaller than they are in a run, for tests
// of weights that are decoded in chunks.
func (d *Device) SetDecoded(bytes int) { d.decoded = bytes }
