package cuda

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// openEmulator does cudatest.Emulator's work for this package's own tests, which cannot
// import cudatest.
func openEmulator(t testing.TB) *Device {
	t.Helper()
	d := openEmulatorWith(t, Options{Emulated: true})
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// openEmulatorWith opens it with other options; the test closes it.
func openEmulatorWith(t testing.TB, o Options) *Device {
	t.Helper()
	d, err := New(o)
	if errors.Is(err, ErrNoLibrary) && os.Getenv("QLORA_REQUIRE_EMU") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
	return d
}
