package verbs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/dgxa100"
	"github.com/stretchr/testify/require"

	"qlora/internal/gpu"
)

// TestIdleGPU checks when the device auto warns that it leaves a GPU idle, and what it says.
func TestIdleGPU(t *testing.T) {
	server := dgxWith(7, 5, nvml.COMPUTEMODE_DEFAULT)
	empty := dgxa100.New()
	empty.DeviceGetCountFunc = func() (int, nvml.Return) { return 0, nvml.SUCCESS }
	absent := &mock.Interface{InitFunc: func() nvml.Return { return nvml.ERROR_LIBRARY_NOT_FOUND }}
	for _, c := range []struct {
		name    string
		library nvml.Interface
		visible string // "unset": not set
		want    []string
	}{
		{"a GPU", server, "unset", []string{
			"WARNING: this machine has an NVIDIA GPU, but `device` auto computes on the CPU.",
			"!! GPU 7: Mock NVIDIA A100-SXM4-40GB, compute capability 7.5\n",
			"!! Driver: 550.54.15, for CUDA up to 12.4\n", "!! Reason: the kernels need 8.0\n", "`device` cpu computes on the CPU without",
		}},
		{"a GPU of several", server, "3", []string{"WARNING"}},
		{"GPUs that are hidden", server, "", nil},
		{"GPUs that are hidden by number", server, "-1", nil},
		{"no GPU", empty, "unset", nil},
		{"no driver", absent, "unset", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.visible != "unset" {
				t.Setenv("CUDA_VISIBLE_DEVICES", c.visible)
			}
			got := idleGPU(errors.New("the kernels need 8.0"), func() (*gpu.Driver, error) { return gpu.Use(c.library) })
			if c.want == nil {
				require.Empty(t, got)
			}
			for _, want := range c.want {
				require.Contains(t, got, want)
			}
		})
	}
}

// A driver of NVML with one GPU, as C: what go-nvml calls of it.
const fakeNVML = `
#include <string.h>
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci;
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *v, unsigned n) { strcpy(v, "550.54.15"); return 0; }
int nvmlSystemGetCudaDriverVersion(int *v) { *v = 12040; return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = "gpu"; return 0; }
int nvmlDeviceGetName(void *d, char *v, unsigned n) { strcpy(v, "NVIDIA A100-SXM4-40GB"); return 0; }
int nvmlDeviceGetPciInfo_v3(void *d, pci *p) { memset(p, 0, sizeof *p); return 0; }
int nvmlDeviceGetCudaComputeCapability(void *d, int *major, int *minor) { *major = 8; *minor = 0; return 0; }
int nvmlDeviceGetComputeMode(void *d, int *mode) { *mode = 0; return 0; }
int nvmlDeviceGetMemoryInfo(void *d, void *m) { return 3; }
int nvmlDeviceGetUtilizationRates(void *d, void *u) { return 3; }
int nvmlDeviceGetTemperature(void *d, int which, unsigned *t) { return 3; }
int nvmlDeviceGetPowerUsage(void *d, unsigned *mw) { return 3; }
`

// A library of kernels that finds no GPU it can use, as C.
const fakeKernels = `
#include "qlora.h"
static int open_gpu(int device, qlora_context **c) { *c = 0; return QLORA_NO_DEVICE; }
static const char *error_of(qlora_context *c) { return "the NVIDIA driver is too old"; }
static const qlora_api api = {QLORA_ABI, "cuda 13.0, driver 580 or newer", open_gpu, 0, error_of};
const qlora_api *qlora_get_api(uint32_t abi) { return abi == QLORA_ABI ? &api : 0; }
`

// TestAutoWarns runs verbs with the device auto in a process whose driver has a GPU that the
// kernels cannot use: they compute on the CPU and say so.
func TestAutoWarns(t *testing.T) {
	if os.Getenv("QLORA_TEST_AUTO") != "" {
		code, out, notes := runHere(strings.Fields(os.Getenv("QLORA_TEST_AUTO"))...)
		t.Logf("exit code %d\n%s\n%s", code, out, notes)
		return
	}
	dir := t.TempDir()
	include, err := filepath.Abs("../../../cuda/include")
	require.NoError(t, err)
	for file, source := range map[string]string{"libnvidia-ml.so.1": fakeNVML, "libqlora_cuda.so": fakeKernels} {
		compile := exec.CommandContext(t.Context(), "cc", "-w", "-shared", "-fPIC", "-I", include, "-x", "c", "-o", filepath.Join(dir, file), "-")
		compile.Stdin = strings.NewReader(source)
		out, err := compile.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	for verb, wants := range map[string][]string{
		"doctor": {
			"550.54.15, for CUDA up to 12.4", "these kernels need CUDA 13, driver 580 or newer: TOO OLD", "libcuda.so.1 CANNOT BE LOADED",
			"cannot be used: open cuda:0: open: the NVIDIA driver is too old", "uses cpu, and leaves the GPU idle",
		},
		"plan --model ../../../demo/base": {"exit code 0", "!! WARNING: this machine has an NVIDIA GPU", "!! Reason: open cuda:0: open: the NVIDIA driver is too old\n"},
	} {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAutoWarns$", "-test.v")
		child.Env = append(os.Environ(), "QLORA_TEST_AUTO="+verb, "LD_LIBRARY_PATH="+dir, "QLORA_CUDA_LIBRARY="+filepath.Join(dir, "libqlora_cuda.so"))
		out, err := child.CombinedOutput()
		require.NoError(t, err, "%s", out)
		for _, want := range wants {
			require.Contains(t, string(out), want)
		}
	}
}
