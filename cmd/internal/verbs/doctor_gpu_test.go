package verbs

import (
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cuda"
	"qlora/internal/gpu"
)

// dgxWith returns a machine whose GPUs have the given compute capability and mode, and
// report nothing else.
func dgxWith(major, minor int, mode nvml.ComputeMode) *dgxa100.Server {
	server := dgxa100.New()
	for i, d := range server.Devices {
		device := d.(*dgxa100.Device)
		device.GetCudaComputeCapabilityFunc = func() (int, int, nvml.Return) { return major, minor, nvml.SUCCESS }
		device.GetComputeModeFunc = func() (nvml.ComputeMode, nvml.Return) { return mode, nvml.SUCCESS }
		device.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) { return nvml.PciInfo{Bus: uint32(i)}, nvml.SUCCESS }
		device.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_NOT_SUPPORTED }
		device.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
		device.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	}
	return server
}

func TestDoctorDescribesGPUs(t *testing.T) {
	server := dgxa100.New()
	for _, d := range server.Devices {
		device := d.(*dgxa100.Device)
		device.MemoryInfo = nvml.Memory{Total: 40 << 30, Used: 31 << 30, Free: 9 << 30}
		device.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) { return nvml.PciInfo{Bus: 0x1b}, nvml.SUCCESS }
		device.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 97}, nvml.SUCCESS }
		device.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 61, nvml.SUCCESS }
		device.GetComputeModeFunc = func() (nvml.ComputeMode, nvml.Return) { return nvml.COMPUTEMODE_EXCLUSIVE_PROCESS, nvml.SUCCESS }
		device.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	}
	newer := dgxWith(10, 0, nvml.COMPUTEMODE_DEFAULT)
	older := dgxWith(7, 5, nvml.COMPUTEMODE_PROHIBITED)
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
		{"an old driver", "", server, []string{"\tthese kernels need CUDA 13, driver 580 or newer: TOO OLD: install a newer driver\n"}},
		{"a container without compute", "", server, []string{"libcuda.so.1 CANNOT BE LOADED", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"}},
		{"exclusive", "", server, []string{"its compute mode is exclusive"}},
		{"a newer GPU", "", newer, []string{"compute capability 10.0", "compiles the kernels for it", "libnvidia-ptxjitcompiler.so.1 CANNOT BE LOADED"}},
		{"an older GPU", "", older, []string{"CANNOT BE USED: the kernels need compute capability 8.0 or newer\n", "CANNOT BE USED: its compute mode is prohibited; `nvidia-smi -i 0 -c DEFAULT`"}},
		{"none visible", "-1", server, []string{`CUDA_VISIBLE_DEVICES="-1" hides all GPUs`}},
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
			describeGPUs(&out, func() (*gpu.Driver, error) { return gpu.Use(c.library) },
				cuda.Description{Build: "cuda 13.0, driver 580 or newer"}, func(string) bool { return false })
			for _, want := range c.want {
				require.Contains(t, out.String(), want)
			}
		})
	}
}
