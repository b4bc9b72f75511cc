package cuda

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequires(t *testing.T) {
	for build, want := range map[string]struct {
		cuda   int
		driver string
	}{
		"cuda 13.0, driver 580 or newer": {13, "580"},
		"cuda 12.9, driver 525 or newer": {12, "525"},
		"cuda 13.0":                      {},
		"emulator":                       {},
		"":                               {},
	} {
		major, driver := Description{Build: build}.Requires()
		require.Equal(t, want.cuda, major, "%q", build)
		require.Equal(t, want.driver, driver, "%q", build)
	}
}

// TestTargetFor holds TargetFor to the targets that the library is built for.
func TestTargetFor(t *testing.T) {
	script, err := os.ReadFile(filepath.Join("..", "..", "CMakeLists.txt"))
	require.NoError(t, err)
	targets := regexp.MustCompile(`(\d+)(\d)a?-real`).FindAllStringSubmatch(string(script), -1)
	require.Len(t, targets, 5)
	for _, target := range targets {
		major, err := strconv.Atoi(target[1])
		require.NoError(t, err)
		minor, err := strconv.Atoi(target[2])
		require.NoError(t, err)
		require.Equal(t, OwnCode, TargetFor(major, minor), "compute capability %d.%d", major, minor)
	}
	for capability, want := range map[[2]int]Target{
		{7, 0}: NoCode, {7, 5}: NoCode, {8, 7}: OwnCode, {10, 0}: CompiledCode, {10, 3}: CompiledCode, {11, 0}: CompiledCode, {12, 1}: OwnCode,
	} {
		require.Equal(t, want, TargetFor(capability[0], capability[1]), "compute capability %v", capability)
	}
}

// TestPlansLeaveAReserve checks that a full GPU has no unknown memory.
func TestPlansLeaveAReserve(t *testing.T) {
	for free, want := range map[int64]int64{24 << 30: 24<<30 - 192<<20, 192<<20 + 2: 2, 192 << 20: 1, 5 << 20: 1, 0: 1} {
		require.Equal(t, want, usable(free), "%d bytes free", free)
	}
}
