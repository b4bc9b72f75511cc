package version

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	changed := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	at := debug.BuildSetting{Key: "vcs.time", Value: "2026-11-30T12:00:00Z"}
	released := build{release: "v1.2.3", commit: "fedcba9876543210", date: "2026-12-01T00:00:00Z"}
	for _, c := range []struct {
		set                  build
		module               string
		settings             []debug.BuildSetting
		wantName, wantPhrase string
	}{
		{released, "", []debug.BuildSetting{revision, changed}, "v1.2.3", "v1.2.3, commit fedcba9876543210 of 2026-12-01T00:00:00Z"},
		{build{release: "v1.2.3"}, "", nil, "v1.2.3", "v1.2.3"},
		{build{}, "v0.0.0-2026-0123", []debug.BuildSetting{revision, at}, "0123456789ab", "0123456789ab of 2026-11-30T12:00:00Z"},
		{build{}, "(devel)", []debug.BuildSetting{revision, changed}, "0123456789ab with changes", "0123456789ab with changes"},
		{build{}, "v0.4.0", nil, "v0.4.0", "v0.4.0"},
		{build{}, "(devel)", nil, "devel", "devel"},
		{build{}, "", nil, "devel", "devel"},
	} {
		b := of(c.set, &debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings})
		require.Equal(t, c.wantName, b.name())
		require.Equal(t, c.wantPhrase, b.describe())
	}
	require.NotEmpty(t, String())
	require.Contains(t, Describe(), String()+", "+runtime.Version()+", "+runtime.GOOS+"/"+runtime.GOARCH)
}
