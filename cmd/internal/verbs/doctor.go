package verbs

import (
	"fmt"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"qlora/bindings/cpu"
	"qlora/cmd/internal/options"
	"qlora/internal/gpu"
)

// Doctor is the verb that says what the machine has.
func Doctor() *cobra.Command {
	return verb("doctor", "says what this machine has, what will be used, what is missing and how to get it", options.New(), func(c *call) error {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "machine\t%s/%s, %d processors usable\n", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
		fmt.Fprintf(w, "built with\t%s\n", runtime.Version())
		dev, err := cpu.New(cpu.Options{})
		if err != nil {
			fmt.Fprintf(w, "device cpu\tcannot be used: %v\n", err)
			return w.Flush()
		}
		blas := dev.Describe()
		fmt.Fprintf(w, "device cpu\t%s\n", dev.Info().Detail)
		fmt.Fprintf(w, "matrix products\t%s\n", blas)
		for _, place := range blas.Looked {
			fmt.Fprintf(w, "\tlooked for OpenBLAS: %s\n", place)
		}
		if blas.Name == "gonum" {
			fmt.Fprintf(w, "missing\tOpenBLAS, which is several times as fast: `make toolchain` brings it, or set %s to the path of one\n", cpu.Variable)
		}
		describeGPUs(w, gpu.Open)
		fmt.Fprintf(w, "device cuda\tthis build has no library for it\n")
		fmt.Fprintf(w, "--device auto\tuses cpu\n")
		return w.Flush()
	})
}
