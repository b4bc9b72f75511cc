package cuda

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"qlora/bindings/conformance"
)

// requireEmulator, in the environment, makes a test that finds no emulator fail: where
// the build is meant to have made one.
const requireEmulator = "QLORA_REQUIRE_EMU"

// emulated opens the emulator, or ends the test.
func emulated(t testing.TB) *Device {
	t.Helper()
	d, err := New(Options{Emulated: true})
	if errors.Is(err, ErrNoLibrary) && os.Getenv(requireEmulator) == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// TestConformance runs the kernels' sources on the emulator, which faults on what a GPU
// would do wrong silently, in three orders of its blocks and threads.
func TestConformance(t *testing.T) {
	for _, seed := range []uint64{0, 1, 20240229} {
		t.Run(fmt.Sprintf("schedule %d", seed), func(t *testing.T) {
			d := emulated(t)
			if err := d.Schedule(seed); err != nil {
				t.Fatal(err)
			}
			conformance.Run(t, d, conformance.BFloat16)
		})
	}
}
