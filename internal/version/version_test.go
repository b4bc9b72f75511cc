package version

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	built := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	changed := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	require.Equal(t, "v1.2.3", of("v1.2.3", built("", commit)))
	require.Equal(t, "0123456789ab", of("", built("v0.0.0-2026-0123", commit)))
	require.Equal(t, "0123456789ab with changes", of("", built("(devel)", commit, changed)))
	require.Equal(t, "v0.4.0", of("", built("v0.4.0")))
	require.Equal(t, "devel", of("", built("(devel)")))
	require.Equal(t, "devel", of("", built("")))
	require.NotEmpty(t, String())
}
