package verbs

import (
	"fmt"
	"io"
	"os"

	"qlora/bindings"
	"qlora/internal/gpu"
	"qlora/trainer"
)

// describeGPUs prints the NVIDIA driver's report on the machine's GPUs, or how to
// install it. Rows have two columns, separated by a tab.
func describeGPUs(w io.Writer, open func() (*gpu.Driver, error)) {
	driver, err := open()
	if err != nil {
		fmt.Fprintf(w, "NVIDIA GPUs\tnone: %v\n", err)
		fmt.Fprintf(w, "\tif there is a GPU: install its driver (https://www.nvidia.com/drivers), and start containers with --gpus all\n")
		return
	}
	defer driver.Close()
	version, cuda := driver.Versions()
	fmt.Fprintf(w, "NVIDIA driver\t%s, for CUDA up to %s\n", version, cuda)
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
	}
	if visible, ok := os.LookupEnv("CUDA_VISIBLE_DEVICES"); ok {
		fmt.Fprintf(w, "\tGPUs are numbered as by nvidia-smi; --device cuda:N counts those of CUDA_VISIBLE_DEVICES=%q\n", visible)
	}
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
