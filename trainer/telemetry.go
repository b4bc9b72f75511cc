package trainer

import (
	"time"

	"qlora/bindings"
)

// telemetryPatience is how long a log row waits for a reading of the device. The
// reading has had a whole step's time by then; without it the row has none.
const telemetryPatience = 3 * time.Millisecond

// telemetry reads what the device measures of itself, beside the steps. A driver
// that takes long, or never answers, costs a run no more than its patience a row.
type telemetry struct {
	device   bindings.Monitored // nil: it measures nothing
	readings chan *bindings.Telemetry
	asked    bool // a reading is under way or was not taken yet
}

func newTelemetry(dev bindings.Device) *telemetry {
	monitored, _ := dev.(bindings.Monitored)
	return &telemetry{device: monitored, readings: make(chan *bindings.Telemetry, 1)}
}

// ask begins a reading, unless the last one has still not come back.
func (t *telemetry) ask() {
	if t.device == nil || t.asked && !t.drop() {
		return
	}
	t.asked = true
	go func() { t.readings <- t.device.Telemetry() }()
}

// drop takes away a reading that came too late for its row, if it is there.
func (t *telemetry) drop() bool {
	select {
	case <-t.readings:
		return true
	default:
		return false
	}
}

// take gives the reading that ask began, or nil where it is not there in time.
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

// lastPatience is how long the end of a run waits for a reading that is under way.
const lastPatience = time.Second

// end waits for a reading that is under way, since the device may be closed next.
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
