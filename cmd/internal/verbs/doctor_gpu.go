package verbs

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/internal/gpu"
	"qlora/trainer"
)

// describeGPUs prints the NVIDIA driver's report on the machine's GPUs and what keeps the
// kernels from them, or how to install it. Rows have two columns, separated by a tab.
func describeGPUs(w io.Writer, open func() (*gpu.Driver, error), kernels cuda.Description, loadable func(string) bool) {
	driver, err := open()
	if err != nil {
		fmt.Fprintf(w, "NVIDIA GPUs\tnone: %v\n", err)
		fmt.Fprintf(w, "\tif there is a GPU: install its driver (https://www.nvidia.com/drivers), and start containers with --gpus all\n")
		return
	}
	defer driver.Close()
	version, newest := driver.Versions()
	fmt.Fprintf(w, "NVIDIA driver\t%s, for CUDA up to %s\n", version, newest)
	describeDriver(w, newest, kernels, loadable)
	gpus, described, err := driver.All()
	if err != nil {
		fmt.Fprintf(w, "NVIDIA GPUs\tcannot be listed: %v\n", err)
		return
	}
	if len(gpus) == 0 {
		fmt.Fprintf(w, "NVIDIA GPUs\tnone that this process may use\n")
	}
	for i, d := range described {
		fmt.Fprintf(w, "GPU %d\t%s, compute capability %s, at %s\n", d.Index, d.Name, d.Capability, d.BusID)
		if t := gpus[i].Telemetry(); t != nil {
			fmt.Fprintf(w, "\t%s\n", describeTelemetry(t))
		}
		describeTraps(w, d, loadable)
	}
	describeEnvironment(w)
}

// describeDriver prints what the kernels need of the driver, and whether this one has it.
func describeDriver(w io.Writer, newest string, kernels cuda.Description, loadable func(string) bool) {
	if needed, oldest := kernels.Requires(); needed > 0 {
		enough := "new enough"
		if major, _, _ := strings.Cut(newest, "."); number(major) < needed {
			enough = "TOO OLD: install a newer driver"
		}
		fmt.Fprintf(w, "\tthese kernels need CUDA %d, driver %s or newer: %s\n", needed, oldest, enough)
	}
	if !loadable("libcuda.so.1") {
		fmt.Fprintf(w, "\tlibcuda.so.1 CANNOT BE LOADED, which the kernels need: start a container with NVIDIA_DRIVER_CAPABILITIES=compute,utility\n")
	}
}

// describeTraps prints what keeps the kernels from a GPU or makes them slow on it.
func describeTraps(w io.Writer, d gpu.Description, loadable func(string) bool) {
	major, minor, _ := strings.Cut(d.Capability, ".")
	switch cuda.TargetFor(number(major), number(minor)) {
	case cuda.NoCode:
		fmt.Fprintf(w, "\tCANNOT BE USED: the kernels need compute capability %s or newer\n", cuda.OldestCapability)
	case cuda.CompiledCode:
		fmt.Fprintf(w, "\tthe driver compiles the kernels for it, at the first use for some minutes\n")
		if !loadable("libnvidia-ptxjitcompiler.so.1") {
			fmt.Fprintf(w, "\tlibnvidia-ptxjitcompiler.so.1 CANNOT BE LOADED, which that needs: install the driver's package with it\n")
		}
	case cuda.OwnCode:
	}
	if d.Prohibited {
		fmt.Fprintf(w, "\tCANNOT BE USED: its compute mode is prohibited; `nvidia-smi -i %d -c DEFAULT` allows programs\n", d.Index)
	}
	if d.Exclusive {
		fmt.Fprintf(w, "\tits compute mode is exclusive: one program at a time\n")
	}
}

// describeEnvironment prints what variables of the environment do to the kernels.
func describeEnvironment(w io.Writer) {
	if hidesGPUs() {
		fmt.Fprintf(w, "\tCUDA_VISIBLE_DEVICES=%q hides all GPUs from the kernels\n", os.Getenv("CUDA_VISIBLE_DEVICES"))
	} else if visible, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES"); ok {
		fmt.Fprintf(w, "\tGPUs are numbered as by nvidia-smi; --device cuda:N counts those of CUDA_VISIBLE_DEVICES=%q\n", visible)
	}
	if os.Getenv("CUDA_LAUNCH_BLOCKING") == "1" {
		fmt.Fprintf(w, "\tCUDA_LAUNCH_BLOCKING=1 makes every launch wait for its kernel\n")
	}
}

// number returns the number that text is, or 0.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// describeTelemetry formats the values that were measured.
func describeTelemetry(t *bindings.Telemetry) string {
	var text string
	add := func(format string, args ...any) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf(format, args...)
	}
	if t.MemoryUsed != nil && t.MemoryTotal != nil {
		add("%s of %s in use", trainer.Bytes(*t.MemoryUsed), trainer.Bytes(*t.MemoryTotal))
	}
	if t.Utilization != nil {
		add("%d %% busy", *t.Utilization)
	}
	if t.Temperature != nil {
		add("%d °C", *t.Temperature)
	}
	if t.Power != nil {
		add("%.0f W", *t.Power)
	}
	return text
}
