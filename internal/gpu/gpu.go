// Package gpu asks the NVIDIA driver about the machine's GPUs: model, memory,
// utilization, temperature and power.
//
// It uses NVML (https://docs.nvidia.com/deploy/nvml-api), which comes with the driver.
// [Open] loads it at run time: a program that links this package also runs without a
// driver. CUDA need not be initialised, and nothing here allocates GPU memory.
//
// CUDA and NVML number GPUs differently: CUDA by speed, and only those that
// CUDA_VISIBLE_DEVICES allows; NVML all of them by their place on the PCI bus.
// [Driver.Find] therefore identifies a GPU of CUDA by its PCI bus id.
package gpu

import (
	"errors"
	"fmt"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"qlora/bindings"
)

// ErrUnavailable reports that no NVIDIA driver is available. It is wrapped with the
// reason.
var ErrUnavailable = errors.New("no NVIDIA driver answers")

// A Driver is the NVIDIA driver of the machine. It is safe for concurrent use.
type Driver struct {
	mu      sync.Mutex // held while the library is called
	library nvml.Interface
}

// Open loads the driver's library. Without a driver the error is [ErrUnavailable].
func Open() (*Driver, error) { return Use(nvml.New()) }

// Use initialises the given library. Tests pass a mock.
func Use(library nvml.Interface) (*Driver, error) {
	switch status := library.Init(); status {
	case nvml.SUCCESS:
		return &Driver{library: library}, nil
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return nil, fmt.Errorf("%w: its library libnvidia-ml.so.1 cannot be loaded", ErrUnavailable)
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, fmt.Errorf("%w: it is installed, but its kernel module is not loaded", ErrUnavailable)
	case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		return nil, fmt.Errorf("%w: its library and its kernel module have different versions; restart after an update", ErrUnavailable)
	default:
		return nil, fmt.Errorf("%w: NVML says %w", ErrUnavailable, status)
	}
}

// Close unloads the library. If a call of it is still in progress, the library stays
// loaded until the program ends.
func (d *Driver) Close() {
	if !d.mu.TryLock() {
		return
	}
	defer d.mu.Unlock()
	_ = d.library.Shutdown() // a failed shutdown cannot be handled
}

// Versions returns the driver's version, "580.95.05", and the newest CUDA that it runs,
// "13.0"; "unknown" if the driver does not report it.
func (d *Driver) Versions() (driver, cuda string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	driver, cuda = "unknown", "unknown"
	if v, status := d.library.SystemGetDriverVersion(); status == nvml.SUCCESS {
		driver = v
	}
	if v, status := d.library.SystemGetCudaDriverVersion(); status == nvml.SUCCESS {
		cuda = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	return driver, cuda
}

// A GPU is one of the driver's GPUs. It must not be used after its driver is closed.
type GPU struct {
	driver *Driver
	device nvml.Device
}

// Find returns the GPU with a PCI bus id in the form of cudaDeviceGetPCIBusId:
// "0000:1b:00.0".
func (d *Driver) Find(busID string) (*GPU, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	device, status := d.library.DeviceGetHandleByPciBusId(busID)
	if status != nvml.SUCCESS {
		return nil, fmt.Errorf("GPU %s: NVML says %w", busID, status)
	}
	return &GPU{driver: d, device: device}, nil
}

// A Description holds the constant properties of a GPU. What the driver does not report
// is the zero value.
type Description struct {
	Index      int // NVML's, which nvidia-smi shows
	Name       string
	BusID      string // "0000:1b:00.0"
	Capability string // "9.0"
	Prohibited bool   // its compute mode allows no program
	Exclusive  bool   // its compute mode allows one program at a time
}

// Loadable reports whether the library of that name can be loaded.
func Loadable(name string) bool {
	library := dl.New(name, dl.RTLD_LAZY|dl.RTLD_LOCAL)
	if library.Open() != nil {
		return false
	}
	_ = library.Close()
	return true
}

// All returns every GPU that this process may use, in NVML's order.
func (d *Driver) All() (gpus []*GPU, described []Description, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, status := d.library.DeviceGetCount()
	if status != nvml.SUCCESS {
		return nil, nil, fmt.Errorf("counting GPUs: NVML says %w", status)
	}
	for i := range n {
		device, status := d.library.DeviceGetHandleByIndex(i)
		if status == nvml.ERROR_NO_PERMISSION {
			continue // belongs to another container
		}
		if status != nvml.SUCCESS {
			return nil, nil, fmt.Errorf("GPU %d: NVML says %w", i, status)
		}
		gpus = append(gpus, &GPU{driver: d, device: device})
		described = append(described, describe(device, i))
	}
	return gpus, described, nil
}

func describe(device nvml.Device, index int) Description {
	d := Description{Index: index}
	if name, status := device.GetName(); status == nvml.SUCCESS {
		d.Name = name
	}
	if pci, status := device.GetPciInfo(); status == nvml.SUCCESS {
		d.BusID = fmt.Sprintf("%04x:%02x:%02x.0", pci.Domain, pci.Bus, pci.Device)
	}
	if major, minor, status := device.GetCudaComputeCapability(); status == nvml.SUCCESS {
		d.Capability = fmt.Sprintf("%d.%d", major, minor)
	}
	if mode, status := device.GetComputeMode(); status == nvml.SUCCESS {
		d.Prohibited = mode == nvml.COMPUTEMODE_PROHIBITED
		d.Exclusive = mode == nvml.COMPUTEMODE_EXCLUSIVE_THREAD || mode == nvml.COMPUTEMODE_EXCLUSIVE_PROCESS
	}
	return d
}

// Telemetry returns the GPU's current measurements; those that it does not report are
// nil. A part of a GPU (MIG) reports the whole GPU's, and no utilization.
func (g *GPU) Telemetry() *bindings.Telemetry {
	g.driver.mu.Lock()
	defer g.driver.mu.Unlock()
	var t bindings.Telemetry
	if m, status := g.device.GetMemoryInfo(); status == nvml.SUCCESS {
		t.MemoryUsed, t.MemoryTotal = new(int64(m.Used)), new(int64(m.Total))
	}
	if u, status := g.device.GetUtilizationRates(); status == nvml.SUCCESS {
		t.Utilization = new(int(u.Gpu))
	}
	if celsius, status := g.device.GetTemperature(nvml.TEMPERATURE_GPU); status == nvml.SUCCESS {
		t.Temperature = new(int(celsius))
	}
	if milliwatts, status := g.device.GetPowerUsage(); status == nvml.SUCCESS {
		t.Power = new(float64(milliwatts) / 1000)
	}
	if t == (bindings.Telemetry{}) {
		return nil
	}
	return &t
}
