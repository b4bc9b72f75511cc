package gpu

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

var _ bindings.Monitored = (*GPU)(nil)

// dgx returns a machine with eight GPUs, of which NVML's number 3 has measurements: the
// mock reports no temperature, power or utilization.
func dgx(t *testing.T) (*Driver, *dgxa100.Server, *dgxa100.Device) {
	t.Helper()
	server := dgxa100.New()
	for i, d := range server.Devices {
		device := d.(*dgxa100.Device)
		device.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) {
			return nvml.PciInfo{Bus: uint32(i)}, nvml.SUCCESS
		}
		device.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_NOT_SUPPORTED }
		device.GetComputeModeFunc = func() (nvml.ComputeMode, nvml.Return) { return nvml.COMPUTEMODE_DEFAULT, nvml.SUCCESS }
		device.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
		device.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	}
	three := server.Devices[3].(*dgxa100.Device)
	three.MemoryInfo = nvml.Memory{Total: 40 << 30, Used: 31 << 30, Free: 9 << 30}
	three.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 97, Memory: 50}, nvml.SUCCESS }
	three.GetTemperatureFunc = func(sensor nvml.TemperatureSensors) (uint32, nvml.Return) {
		require.Equal(t, nvml.TEMPERATURE_GPU, sensor)
		return 61, nvml.SUCCESS
	}
	three.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 312_500, nvml.SUCCESS }
	d, err := Use(server)
	require.NoError(t, err)
	return d, server, three
}

func TestWithoutADriver(t *testing.T) {
	for status, want := range map[nvml.Return]string{
		nvml.ERROR_LIBRARY_NOT_FOUND:       "libnvidia-ml.so.1",
		nvml.ERROR_DRIVER_NOT_LOADED:       "kernel module is not loaded",
		nvml.ERROR_LIB_RM_VERSION_MISMATCH: "have different versions",
		nvml.ERROR_NO_PERMISSION:           "NVML says",
	} {
		_, err := Use(&mock.Interface{InitFunc: func() nvml.Return { return status }})
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorContains(t, err, want)
	}
}

// TestOpen opens the real library on this machine: a driver, or a clear error.
func TestOpen(t *testing.T) {
	d, err := Open()
	if err != nil {
		require.ErrorIs(t, err, ErrUnavailable)
		return
	}
	defer d.Close()
	version, _ := d.Versions()
	require.NotEqual(t, "unknown", version)
	_, _, err = d.All()
	require.NoError(t, err)
}

// TestTelemetry finds a GPU by its bus id, whatever number CUDA gives it.
func TestTelemetry(t *testing.T) {
	d, _, three := dgx(t)
	g, err := d.Find("0000:03:00.0")
	require.NoError(t, err)
	b, err := json.Marshal(g.Telemetry())
	require.NoError(t, err)
	require.JSONEq(t, `{"gpu_memory_used": 33285996544, "gpu_memory_total": 42949672960, "gpu_utilization": 97, "gpu_temperature": 61, "gpu_power": 312.5}`, string(b))

	// Values that the driver does not report are nil, not zero.
	three.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_NOT_SUPPORTED }
	three.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	require.Equal(t, &bindings.Telemetry{Utilization: new(97), Temperature: new(61)}, g.Telemetry())
	three.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_GPU_IS_LOST }
	three.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, nvml.ERROR_GPU_IS_LOST }
	require.Nil(t, g.Telemetry())

	_, err = d.Find("0000:99:00.0")
	require.ErrorIs(t, err, nvml.ERROR_INVALID_ARGUMENT)
	require.ErrorContains(t, err, "GPU 0000:99:00.0: NVML says")
}

func TestAll(t *testing.T) {
	d, server, _ := dgx(t)
	driver, cuda := d.Versions()
	require.Equal(t, []string{"550.54.15", "12.4"}, []string{driver, cuda})
	gpus, described, err := d.All()
	require.NoError(t, err)
	require.Len(t, gpus, 8)
	require.Equal(t, Description{Index: 3, Name: "Mock NVIDIA A100-SXM4-40GB", BusID: "0000:03:00.0", Capability: "8.0"}, described[3])
	require.Equal(t, new(int64(31<<30)), gpus[3].Telemetry().MemoryUsed)

	// A container sees only its GPUs, under the numbers of the host.
	server.DeviceGetHandleByIndexFunc = func(i int) (nvml.Device, nvml.Return) {
		if i == 5 {
			return server.Devices[i], nvml.SUCCESS
		}
		return nil, nvml.ERROR_NO_PERMISSION
	}
	_, described, err = d.All()
	require.NoError(t, err)
	require.Len(t, described, 1)
	require.Equal(t, 5, described[0].Index)

	server.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
	_, _, err = d.All()
	require.ErrorIs(t, err, nvml.ERROR_GPU_IS_LOST)
	server.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
	_, _, err = d.All()
	require.ErrorIs(t, err, nvml.ERROR_UNKNOWN)
	server.SystemGetDriverVersionFunc = func() (string, nvml.Return) { return "", nvml.ERROR_UNKNOWN }
	server.SystemGetCudaDriverVersionFunc = func() (int, nvml.Return) { return 0, nvml.ERROR_UNKNOWN }
	driver, cuda = d.Versions()
	require.Equal(t, []string{"unknown", "unknown"}, []string{driver, cuda})
}

// TestCloseWhileACallHangs checks that Close returns while the driver hangs, and that
// the library stays loaded while its code runs.
func TestCloseWhileACallHangs(t *testing.T) {
	d, server, three := dgx(t)
	g, err := d.Find("0000:03:00.0")
	require.NoError(t, err)
	hanging, answer := make(chan struct{}), make(chan struct{})
	three.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) {
		close(hanging)
		<-answer
		return nvml.Memory{}, nvml.ERROR_GPU_IS_LOST
	}
	done := make(chan struct{})
	go func() { g.Telemetry(); close(done) }()
	<-hanging
	closed := make(chan struct{})
	go func() { d.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("Close waits for a driver that does not answer")
	}
	require.Empty(t, server.ShutdownCalls())
	close(answer)
	<-done
	d.Close()
	require.Len(t, server.ShutdownCalls(), 1)
}
