package trainer

import (
	"time"

	"qlora/bindings"
)

// telemetryPatience is how long a log row waits for a reading of the device. The
// reading has already had a whole step's time; if it is still missing, the row has
// none.
const telemetryPatience = 3 * time.Millisecond

// telemetry reads the device's measurements in parallel with the steps. A slow or
// hanging driver delays a row by at most telemetryPatience.
type telemetry struct {
	device   bindings.Monitored // nil: no measurements
	readings chan *bindings.Telemetry
	asked    bool // a reading is in progress or was not received yet
}

func newTelemetry(dev bindings.Device) *telemetry {
	monitored, _ := dev.(bindings.Monitored)
	return &telemetry{device: monitored, readings: make(chan *bindings.Telemetry, 1)}
}

// ask starts a reading, unless the last one is still in progress.
func (t *telemetry) ask() {
	if t.device == nil || t.asked && !t.drop() {
		return
	}
	t.asked = true
	go func() { t.readings <- t.device.Telemetry() }()
}

// drop discards a reading that came too late for its row, and reports whether there
// was one.
func (t *telemetry) drop() bool {
	select {
	case <-t.readings:
		return true
	default:
		return false
	}
}

// take returns the reading that ask started, or nil if it is not there in time.
func (t *telemetry) take() *bindings.Telemetry {
	if !t.asked {
		return nil
	}
	select {
	case reading := <-t.readings:
		t.asked = false
		return reading
	case <-time.After(telemetryPatience):
		return nil
	}
}

// lastPatience is how long the end of a run waits for a reading in progress.
const lastPatience = time.Second

// end waits for a reading in progress, because the device may be closed next.
func (t *telemetry) end() {
	if !t.asked {
		return
	}
	select {
	case <-t.readings:
		t.asked = false
	case <-time.After(lastPatience):
	}
}
