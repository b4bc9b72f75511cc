// Package cudatest opens the emulator, and a GPU, for tests.
package cudatest

import (
	"errors"
	"os"
	"testing"

	"qlora/bindings/cuda"
)

// These, in the environment, make a test fail that finds no emulator, which `make test`
// has built, or no GPU.
const (
	requireEmulator = "QLORA_REQUIRE_EMU"
	requireGPU      = "QLORA_REQUIRE_CUDA"
)

// Emulator opens the emulator for a test. Where none was built the test is skipped.
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

// GPU opens the first GPU for a test. Where there is none, or no library of kernels for
// it, the test is skipped.
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
