// Package version names the program's version.
package version

import "runtime/debug"

// release is the name of a release, which its build sets:
//
//	go build -ldflags '-X qlora/internal/version.release=v1.2.3' ./cmd/qlora
var release string

// String returns the release, else the commit that the program was built from, else
// devel.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return of(release, info)
}

func of(release string, info *debug.BuildInfo) string {
	if release != "" {
		return release
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = " with changes"
		}
	}
	switch {
	case revision != "":
		return revision + modified
	case info.Main.Version != "" && info.Main.Version != "(devel)": // go install module@version
		return info.Main.Version
	}
	return "devel"
}
