package report

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/trainer"
)

// hotDevice is a device whose temperature rises by one degree with every reading.
type hotDevice struct {
	bindings.Device
	read atomic.Int64
}

func (d *hotDevice) Telemetry() *bindings.Telemetry {
	n := d.read.Add(1)
	return &bindings.Telemetry{MemoryUsed: new(int64(5)), MemoryTotal: new(int64(7)), Utilization: new(90), Temperature: new(int(n)), Power: new(300.5)}
}

// TestTelemetryIsInTheRows checks that a device's telemetry is read once per training
// row, and does not change the run.
func TestTelemetryIsInTheRows(t *testing.T) {
	r := tinyRun(t)
	require.NoError(t, train(t, t.Context(), r))
	want := history(t, r.Args.OutputDir)
	for _, row := range metricsRows(t, r.Args.OutputDir) {
		require.Nil(t, row.Telemetry)
	}

	dev := &hotDevice{Device: r.Device}
	r.Device, r.Args.OutputDir = dev, filepath.Join(t.TempDir(), "hot")
	r.Args.Resume = trainer.ResumeNewest
	interrupt(t, r, 5)
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
		if row.Telemetry != nil { // nil if the machine was too busy to read in time
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

	before, err := Rows(&trainer.Begin{OutputDir: r.Args.OutputDir, Step: want.GlobalStep, State: want})
	require.NoError(t, err)
	for _, row := range before {
		if degrees, ok := hottest[row.Step]; ok && row.Loss != nil {
			require.InDelta(t, degrees, *row.Temperature, 0)
		}
	}
}
