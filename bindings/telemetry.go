package bindings

// A Monitored device measures itself. Devices that cannot do not implement it.
type Monitored interface {
	// Telemetry is what the device measures at this moment; nil: nothing. It may
	// be called while another goroutine drives the device, and may take long
	// where a driver does.
	Telemetry() *Telemetry
}

// Telemetry is what a GPU measured of itself at one moment, whoever uses it.
// What it does not measure is nil.
type Telemetry struct {
	MemoryUsed  *int64   `json:"gpu_memory_used,omitempty"` // bytes, with what the driver keeps for itself
	MemoryTotal *int64   `json:"gpu_memory_total,omitempty"`
	Utilization *int     `json:"gpu_utilization,omitempty"` // per cent of the last second, or a part of it, in which a kernel ran
	Temperature *int     `json:"gpu_temperature,omitempty"` // °C
	Power       *float64 `json:"gpu_power,omitempty"`       // watts
}
