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
	d, err := New(Options{Emulated: true})
	if errors.Is(err, ErrNoLibrary) && os.Getenv("QLORA_REQUIRE_EMU") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}
