package bindings

// A Monitored device reports telemetry. Devices without telemetry do not implement it.
type Monitored interface {
	// Telemetry returns the device's current measurements; nil: none. It may be
	// called while another goroutine uses the device, and may be as slow as the
	// driver.
	Telemetry() *Telemetry
}

// Telemetry holds a GPU's measurements at one moment, of all processes together. A
// value that the GPU does not measure is nil.
type Telemetry struct {
	MemoryUsed  *int64   `json:"gpu_memory_used,omitempty"` // bytes, including the driver's own
	MemoryTotal *int64   `json:"gpu_memory_total,omitempty"`
	Utilization *int     `json:"gpu_utilization,omitempty"` // per cent of the last second, or a part of it, in which a kernel ran
	Temperature *int     `json:"gpu_temperature,omitempty"` // °C
	Power       *float64 `json:"gpu_power,omitempty"`       // watts
}
