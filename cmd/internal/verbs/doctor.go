package verbs

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/cmd/internal/options"
	"qlora/internal/gpu"
	"qlora/internal/version"
	"qlora/nn/quantize"
)

// Doctor returns the verb that reports what the machine has.
func Doctor() *cobra.Command {
	return verb("doctor", "report what this machine has, what qlora will use, what is missing and how to get it", options.New(), func(c *call) error {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "machine\t%s/%s, %d usable processors\n", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
		fmt.Fprintf(w, "qlora\t%s, built with %s\n", version.String(), runtime.Version())
		dev, err := cpu.New(cpu.Options{})
		if err != nil {
			fmt.Fprintf(w, "device cpu\tcannot be used: %v\n", err)
			return w.Flush()
		}
		defer closeDevice(dev)
		fmt.Fprintf(w, "device cpu\t%s\n", dev.Info().Detail)
		describeFamilies(w)
		describeGPUs(w, gpu.Open, cuda.Describe(false), gpu.Loadable)
		describeKernels(w, "cuda", "libqlora_cuda.so", cuda.Options{})
		describeKernels(w, "emu", "libqlora_emu.so", cuda.Options{Emulated: true})
		idle := ""
		auto, err := defaultMachine().open(bindings.F32, func(string) { idle = ", and leaves the GPU idle" })
		if err != nil {
			return err
		}
		defer closeDevice(auto)
		fmt.Fprintf(w, "--device auto\tuses %s%s\n", auto.Info().Name, idle)
		describeLaunch(w, os.Getenv)
		describeShared(w, "/dev/shm")
		return w.Flush()
	})
}

// describeFamilies prints which kernels multiply on the CPU, why, and the type that suits
// them.
func describeFamilies(w io.Writer) {
	chosen, err := cpu.Options{}.Choose()
	if err != nil { // opening the device has reported it
		return
	}
	why := "the best of what this processor runs"
	if chosen.By != "" {
		why = "selected by " + chosen.By
	}
	fmt.Fprintf(w, "\tkernels: %s for float32, %s for bfloat16: %s (%s)\n", chosen.Float32, chosen.BFloat16, why, strings.Join(chosen.Runs, ", "))
	fmt.Fprintf(w, "\t--bnb_4bit_compute_dtype auto %s\n", computeOf(quantize.DefaultOptions(), "").note())
}

// describeKernels prints whether a device that runs the CUDA kernels can be used, and
// where its library was searched for.
func describeKernels(w io.Writer, name, file string, options cuda.Options) {
	found := cuda.Describe(options.Emulated)
	if dev, err := cuda.New(options); err != nil {
		fmt.Fprintf(w, "device %s\tcannot be used: %v\n", name, err)
	} else {
		fmt.Fprintf(w, "device %s\t%s\n", name, dev.Info().Detail)
		dev.Close()
	}
	if found.Path != "" {
		fmt.Fprintf(w, "\tkernels: %s, in %s\n", found.Build, found.Path)
	}
	for _, place := range found.Looked {
		fmt.Fprintf(w, "\tsearched for %s: %s\n", file, place)
	}
}
