// Package cudatest opens the emulator or a GPU for tests.
package cudatest

import (
	"errors"
	"os"
	"testing"

	"qlora/bindings/cuda"
)

// The environment variables that make a test without emulator (built by `make test`) or
// without GPU fail instead of being skipped.
const (
	requireEmulator = "QLORA_REQUIRE_EMU"
	requireGPU      = "QLORA_REQUIRE_CUDA"
)

// Emulator opens the emulator for a test. It skips the test if no emulator is built.
func Emulator(t testing.TB) *cuda.Device {
	t.Helper()
	return Open(t, cuda.Options{Emulated: true})
}

// GPU opens the first GPU for a test. It skips the test without a GPU or its library of
// kernels.
func GPU(t testing.TB) *cuda.Device {
	t.Helper()
	return Open(t, cuda.Options{})
}

// Open opens the device of the options for a test, as Emulator and GPU do.
func Open(t testing.TB, options cuda.Options) *cuda.Device {
	t.Helper()
	d, err := cuda.New(options)
	required, missing := requireGPU, errors.Is(err, cuda.ErrNoLibrary) || errors.Is(err, cuda.ErrNoDevice)
	if options.Emulated {
		required, missing = requireEmulator, errors.Is(err, cuda.ErrNoLibrary)
	}
	if missing && os.Getenv(required) == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
