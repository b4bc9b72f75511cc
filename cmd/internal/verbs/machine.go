package verbs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/cmd/internal/exit"
	"qlora/internal/gpu"
	"qlora/option"
	"qlora/trainer"
)

// machine has the options of the device of every verb that computes.
type machine struct {
	Device  string `option:"device" values:"auto,cpu,cuda,emu" help:"device to compute on: auto (a GPU if there is one, else the CPU), cpu, cuda, cuda:N or emu (the CUDA kernels on an emulator); train and plan also take several GPUs, cuda:0,1,…"`
	Threads int    `option:"threads" help:"threads of the CPU; 0: what GOMAXPROCS, the affinity mask and the control group's quota allow"`
	Graphs  string `option:"cuda_graphs" values:"auto,true,false" help:"replay micro-batches and generated tokens of a shape that comes again as one CUDA graph: auto (where the host takes longer to launch the kernels than the GPU to multiply), true or false; no bit depends on it"`
}

// defaultMachine returns the options' defaults.
func defaultMachine() machine { return machine{Device: "auto", Graphs: "auto"} }

// cpu returns the options of a CPU that computes in the given type.
func (m machine) cpu(compute bindings.DType) cpu.Options {
	return cpu.Options{Compute: compute, Threads: m.Threads}
}

// Ranges returns the intervals of the options. More threads than machines have cores would
// only need more scratch memory.
func (*machine) Ranges() option.Ranges { return option.Ranges{"threads": option.From(0, 1024)} }

// Validate returns an error for a value that no option of the machine can have.
func (m machine) Validate() error {
	if _, known := graphModes[m.Graphs]; !known {
		return option.Errorf("cuda_graphs", m.Graphs, "it can be auto, true or false")
	}
	return nil
}

// open opens the device. auto is the first usable GPU, else the CPU, which computes in the
// given type; warn receives a warning if it leaves a GPU idle.
func (m machine) open(compute bindings.DType, warn func(string)) (bindings.Device, error) {
	if err := m.Validate(); err != nil {
		return nil, exit.AsWrong(err)
	}
	switch m.Device {
	case "cpu":
		dev, err := cpu.New(m.cpu(compute))
		return dev, exit.AsWrong(err)
	case "auto":
		if dev := m.firstGPU(warn); dev != nil {
			return dev, nil
		}
		m.Device = "cpu"
		return m.open(compute, warn)
	}
	options, err := m.kernels(warn)
	if err != nil {
		return nil, err
	}
	dev, err := cuda.New(options)
	switch {
	case errors.Is(err, cuda.ErrNoDevice), errors.Is(err, cuda.ErrNoLibrary):
		return nil, exit.Wrongf("--device %s: %w (`qlora doctor` lists where it was searched for; --device cpu does not need it)", m.Device, err)
	case err != nil:
		return nil, exit.AsWrong(err)
	}
	return dev, nil
}

// firstGPU opens the first GPU; nil if there is none that can be used.
func (m machine) firstGPU(warn func(string)) *cuda.Device {
	dev, err := cuda.New(m.gpu(0, warn))
	if err == nil {
		return dev
	}
	if warning := idleGPU(err, gpu.Open); warning != "" {
		warn(warning)
	}
	return nil
}

// device opens the machine's device. In a line it notes what a CPU multiplies with and the
// type that it computes in.
func (c *call) device(m machine, t compute) (bindings.Device, error) {
	dev, err := m.open(t.dtype, c.note)
	if err != nil {
		return nil, err
	}
	if d, ok := dev.(*cpu.Device); ok {
		c.note(fmt.Sprintf("cpu: %s; %s", d.Info().Detail, t.note()))
	}
	return dev, nil
}

// gpu returns the options of the GPU of that number.
func (m machine) gpu(number int, note func(string)) cuda.Options {
	return cuda.Options{Number: number, Graphs: graphModes[m.Graphs], Note: note}
}

// graphModes are the modes of graphs by the values of their option.
var graphModes = map[string]cuda.GraphMode{"auto": cuda.GraphsAuto, "true": cuda.GraphsOn, "false": cuda.GraphsOff}

// kernels returns the options of a device that runs the CUDA kernels.
func (m machine) kernels(note func(string)) (cuda.Options, error) {
	switch number, ok := strings.CutPrefix(m.Device, "cuda:"); {
	case m.Device == "emu":
		options := m.gpu(0, note)
		options.Emulated = true
		return options, nil
	case m.Device == "cuda":
		return m.gpu(0, note), nil
	case ok:
		if n, err := strconv.ParseUint(number, 10, 16); err == nil && strconv.FormatUint(n, 10) == number {
			return m.gpu(int(n), note), nil
		}
	}
	return cuda.Options{}, exit.Wrongf("--device is %q, but it can be auto, cpu, cuda, cuda:N or emu", m.Device)
}

// profile returns what planning needs of the device, a CPU's for the given type, and its free
// memory; 0 if it is unknown. The device need not exist; warn receives a warning if auto
// leaves a GPU idle.
func (m machine) profile(compute bindings.DType, warn func(string)) (profile bindings.Profile, free int64, err error) {
	onCPU := cpu.Profile(m.cpu(compute))
	switch m.Device {
	case "cpu":
		return onCPU, trainer.AvailableMemory(), nil
	case "auto":
		if dev := m.firstGPU(warn); dev != nil {
			defer closeDevice(dev)
			return cuda.Profile(), dev.FreeMemory(), nil
		}
		return onCPU, trainer.AvailableMemory(), nil
	}
	options, err := m.kernels(warn)
	if err != nil || options.Emulated {
		return cuda.Profile(), 0, err
	}
	if dev, err := cuda.New(options); err == nil {
		defer closeDevice(dev)
		free = dev.FreeMemory()
	}
	return cuda.Profile(), free, nil
}

// closeDevice closes dev if it is not nil.
func closeDevice(dev bindings.Device) {
	if dev != nil {
		_ = dev.Close() // the verb has its result
	}
}
