package cuda

// Counts are what the launches of a kernel have come to since its device was opened. All but
// Launches are counted by an emulator opened with Counting.
type Counts struct {
	Kernel   string
	Launches int64

	// SharedAccesses are those of warps to shared memory, and Wavefronts what a GPU needs for
	// them: a wavefront serves a word of each of 32 banks. LeastWavefronts would do if the
	// same words lay side by side.
	SharedAccesses, Wavefronts, LeastWavefronts int64
	// GlobalAccesses are those of warps to device memory, SectorsRead and SectorsWritten the
	// 32 bytes each that they touch. LeastSectors would do if the same bytes lay side by side.
	GlobalAccesses, SectorsRead, SectorsWritten, LeastSectors int64
}

// Counts returns the counts of every kernel of the library, launched or not.
func (d *Device) Counts() ([]Counts, error) { return d.context.counts() }
