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
	d, err := cuda.New(cuda.Options{Emulated: true})
	if errors.Is(err, cuda.ErrNoLibrary) && os.Getenv(requireEmulator) == "" {
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

// GPU opens the first GPU for a test. It skips the test without a GPU or its library of
// kernels.
func GPU(t testing.TB) *cuda.Device {
	t.Helper()
	d, err := cuda.New(cuda.Options{})
	if missing := errors.Is(err, cuda.ErrNoLibrary) || errors.Is(err, cuda.ErrNoDevice); missing && os.Getenv(requireGPU) == "" {
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
