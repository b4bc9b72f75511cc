package trainer

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

// hotDevice is a device that gets one degree hotter with every reading.
type hotDevice struct {
	bindings.Device
	read    atomic.Int64
	hanging chan struct{} // nil: readings return at once
}

func (d *hotDevice) Telemetry() *bindings.Telemetry {
	n := d.read.Add(1)
	if d.hanging != nil {
		<-d.hanging
	}
	return &bindings.Telemetry{MemoryUsed: new(int64(5)), MemoryTotal: new(int64(7)), Utilization: new(90), Temperature: new(int(n)), Power: new(300.5)}
}

// TestTelemetryThatHangs checks that a driver that never answers is read once, hardly
// delays a run, and leaves its rows without a reading.
func TestTelemetryThatHangs(t *testing.T) {
	dev := &hotDevice{hanging: make(chan struct{})}
	var one bindings.Device = dev
	m := newTelemetry(one)
	start := time.Now()
	const rows = 20
	for range rows {
		m.ask()
		require.Nil(t, m.take())
	}
	require.Less(t, time.Since(start), rows*telemetryPatience+time.Minute)
	require.LessOrEqual(t, dev.read.Load(), int64(1))

	// A reading that comes too late for its row is discarded; the next row has its
	// own.
	close(dev.hanging)
	require.Eventually(t, func() bool { return len(m.readings) == 1 }, time.Minute, time.Millisecond)
	var reading *bindings.Telemetry
	for range 1000 {
		m.ask()
		if reading = m.take(); reading != nil {
			break
		}
	}
	require.NotNil(t, reading)
	require.Greater(t, *reading.Temperature, 1)
}

func TestTelemetryOfADeviceThatMeasuresNothing(t *testing.T) {
	m := newTelemetry(tinyRun(t).Device)
	m.ask()
	require.Nil(t, m.take())
}
