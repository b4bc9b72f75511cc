package trainer

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
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
	hanging chan struct{} // nil: it answers at once
}

func (d *hotDevice) Telemetry() *bindings.Telemetry {
	n := d.read.Add(1)
	if d.hanging != nil {
		<-d.hanging
	}
	return &bindings.Telemetry{MemoryUsed: new(int64(5)), MemoryTotal: new(int64(7)), Utilization: new(90), Temperature: new(int(n)), Power: new(300.5)}
}

func metricsRows(t *testing.T, dir string) (rows []Row) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, metricsFile))
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var row Row
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		rows = append(rows, row)
	}
	return rows
}

// A device that measures itself is read once for each row of training, and the run
// is the same.
func TestTelemetryIsInTheRows(t *testing.T) {
	r := tinyRun(t)
	require.NoError(t, train(t, t.Context(), r))
	want := history(t, r.Args.OutputDir)
	for _, row := range metricsRows(t, r.Args.OutputDir) {
		require.Nil(t, row.Telemetry)
	}

	dev := &hotDevice{Device: r.Device}
	r.Device, r.Args.OutputDir = dev, filepath.Join(t.TempDir(), "hot")
	r = interrupted(t, r, 5)
	require.NoError(t, train(t, t.Context(), r))
	got := history(t, r.Args.OutputDir)
	require.Len(t, got.LogHistory, len(want.LogHistory))
	logged, hottest := 0, curve{}
	for i, row := range metricsRows(t, r.Args.OutputDir) {
		require.Equal(t, want.LogHistory[i].Loss, row.Loss)
		if row.Loss == nil {
			require.Nil(t, row.Telemetry)
			continue
		}
		logged++
		if row.Telemetry != nil { // nil: this machine was too busy to read in time
			require.Equal(t, new(300.5), row.Power)
			hottest[row.Step] = float32(*row.Temperature)
		}
	}
	require.LessOrEqual(t, dev.read.Load(), int64(logged))
	require.NotEmpty(t, hottest)
	curves, _ := readCurves(t, filepath.Join(r.Args.OutputDir, "runs"))
	require.Equal(t, hottest, curves["gpu/temperature"])
	for tag, value := range map[string]float32{"gpu/memory_used": 5, "gpu/utilization": 90, "gpu/power": 300.5} {
		require.Len(t, curves[tag], len(hottest), tag)
		for _, v := range curves[tag] {
			require.InDelta(t, value, v, 0, tag)
		}
	}

	before, err := rowsBefore(r.Args.OutputDir, want.GlobalStep, want.LogHistory)
	require.NoError(t, err)
	for _, row := range before {
		if degrees, ok := hottest[row.Step]; ok && row.Loss != nil {
			require.InDelta(t, degrees, *row.Temperature, 0)
		}
	}
}

// A driver that never answers is asked once, costs a run next to nothing, and
// leaves its rows without a reading.
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
	require.Less(t, time.Since(start), rows*telemetryPatience+5*time.Second)
	require.LessOrEqual(t, dev.read.Load(), int64(1))

	// What comes too late for its row is nobody's; the next row has its own.
	close(dev.hanging)
	require.Eventually(t, func() bool { return len(m.readings) == 1 }, 10*time.Second, time.Millisecond)
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
