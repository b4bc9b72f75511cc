package verbs

import (
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/stretchr/testify/require"

	"qlora/internal/gpu"
)

func TestDoctorDescribesGPUs(t *testing.T) {
	server := dgxa100.New()
	for _, d := range server.Devices {
		device := d.(*dgxa100.Device)
		device.MemoryInfo = nvml.Memory{Total: 40 << 30, Used: 31 << 30, Free: 9 << 30}
		device.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) { return nvml.PciInfo{Bus: 0x1b}, nvml.SUCCESS }
		device.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 97}, nvml.SUCCESS }
		device.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 61, nvml.SUCCESS }
		device.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	}
	none := func(status nvml.Return) nvml.Interface {
		return &mock.Interface{InitFunc: func() nvml.Return { return status }}
	}
	refusing := dgxa100.New()
	refusing.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_NO_PERMISSION }
	lost := dgxa100.New()
	lost.DeviceGetHandleByIndexFunc = func(int) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
	for _, c := range []struct {
		name, visible string
		library       nvml.Interface
		want          []string
	}{
		{"GPUs", "", server, []string{
			"NVIDIA driver\t550.54.15, for CUDA up to 12.4",
			"GPU 7\tMock NVIDIA A100-SXM4-40GB, compute capability 8.0, at 0000:1b:00.0\n\t31.00 GiB of 40.00 GiB in use, 97 % busy, 61 °C\n",
		}},
		{"some visible", "3", server, []string{`numbered as by nvidia-smi; --device cuda:N counts those of CUDA_VISIBLE_DEVICES="3"`}},
		{"no driver", "", none(nvml.ERROR_LIBRARY_NOT_FOUND), []string{"NVIDIA GPUs\tnone: ", "libnvidia-ml.so.1", "install its driver", "--gpus all"}},
		{"none allowed", "", refusing, []string{"none that this process may use"}},
		{"lost", "", lost, []string{"cannot be listed: GPU 0: NVML says"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.visible != "" {
				t.Setenv("CUDA_VISIBLE_DEVICES", c.visible)
			}
			var out strings.Builder
			describeGPUs(&out, func() (*gpu.Driver, error) { return gpu.Use(c.library) })
			for _, want := range c.want {
				require.Contains(t, out.String(), want)
			}
		})
	}
}
