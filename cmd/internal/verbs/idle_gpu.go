package verbs

import (
	"fmt"
	"os"
	"strings"

	"qlora/internal/gpu"
)

// idleGPU returns a warning that the device auto leaves the machine's GPUs idle because of
// err; "" if there are none, or CUDA_VISIBLE_DEVICES hides them all. Whoever waits for a
// CPU to train what a GPU should have must not learn it from the time it takes.
func idleGPU(err error, open func() (*gpu.Driver, error)) string {
	if hidesGPUs() {
		return ""
	}
	driver, missing := open()
	if missing != nil {
		return ""
	}
	defer driver.Close()
	_, described, listing := driver.All()
	if listing != nil || len(described) == 0 {
		return ""
	}
	version, cuda := driver.Versions()
	lines := []string{"WARNING: this machine has an NVIDIA GPU, but `device` auto computes on the CPU."}
	for _, d := range described {
		lines = append(lines, fmt.Sprintf("GPU %d: %s, compute capability %s", d.Index, d.Name, d.Capability))
	}
	lines = append(lines,
		fmt.Sprintf("Driver: %s, for CUDA up to %s", version, cuda),
		fmt.Sprintf("Reason: %v", err),
		"`device` cpu computes on the CPU without this warning; qlora doctor reports more.")
	frame := strings.Repeat("!", 80)
	return frame + "\n!! " + strings.Join(lines, "\n!! ") + "\n" + frame
}

// hidesGPUs reports whether CUDA_VISIBLE_DEVICES hides all GPUs: it is empty or begins
// with a number that no GPU has.
func hidesGPUs() bool {
	visible, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES")
	return ok && (visible == "" || strings.HasPrefix(visible, "-"))
}
