package cuda

import (
	"qlora/bindings"
	"qlora/internal/gpu"
)

// A monitor queries the NVIDIA driver about the GPU in use. Without a driver it measures
// nothing.
type monitor struct {
	driver *gpu.Driver
	gpu    *gpu.GPU
}

var _ bindings.Monitored = (*Device)(nil)

func watch(busID string) monitor {
	driver, err := gpu.Open()
	if err != nil {
		return monitor{}
	}
	g, err := driver.Find(busID)
	if err != nil {
		driver.Close()
		return monitor{}
	}
	return monitor{driver, g}
}

func (m monitor) close() {
	if m.driver != nil {
		m.driver.Close()
	}
}

// Telemetry returns the GPU's measurements; nil on the emulator.
func (d *Device) Telemetry() *bindings.Telemetry {
	if d.monitor.gpu == nil {
		return nil
	}
	return d.monitor.gpu.Telemetry()
}
