// Package cudatest opens the emulator for tests.
package cudatest

import (
	"errors"
	"os"
	"testing"

	"qlora/bindings/cuda"
)

// require, in the environment, makes a test that finds no emulator fail: `make test`
// has built one.
const require = "QLORA_REQUIRE_EMU"

// Emulator opens the emulator for a test. Where none was built the test is skipped.
func Emulator(t testing.TB) *cuda.Device {
	t.Helper()
	d, err := cuda.New(cuda.Options{Emulated: true})
	if errors.Is(err, cuda.ErrNoLibrary) && os.Getenv(require) == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}
