package cuda

import "fmt"

// Target says how a library's kernels run on a GPU.
type Target int

// The kinds of targets. A GPU of a compute capability that the library was not built for
// compiles PTX at the first use.
const (
	NoCode Target = iota
	OwnCode
	CompiledCode
)

// OldestCapability is the oldest compute capability that the kernels run on.
const OldestCapability = "8.0"

// TargetFor returns the code for a compute capability: CMakeLists.txt lists the targets,
// and code for 8.0 or 12.0 runs on later GPUs of the same major number.
func TargetFor(major, minor int) Target {
	switch {
	case major < 8:
		return NoCode
	case major == 8, major == 9 && minor == 0, major == 12:
		return OwnCode
	}
	return CompiledCode
}

// Requires returns the major version of CUDA and the driver that the library needs at
// least; 0 and "" if it was not found or is the emulator.
func (d Description) Requires() (cuda int, driver string) {
	var minor int
	if n, err := fmt.Sscanf(d.Build, "cuda %d.%d, driver %s or newer", &cuda, &minor, &driver); err != nil || n != 3 {
		return 0, ""
	}
	return cuda, driver
}
