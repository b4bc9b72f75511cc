// Package version names the program's version.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// What the build of a release sets, as
//
//	go build -ldflags '-X qlora/internal/version.release=v1.2.3' ./cmd/qlora
//
// does. The others are of its commit: the hash, and the time as in RFC 3339.
var release, commit, date string

// String returns the release, else the commit that the program was built from, else
// devel.
func String() string { return current().name() }

// Describe returns the release, its commit with the commit's time, and what built the
// program for which machine.
func Describe() string {
	return fmt.Sprintf("%s, %s, %s/%s", current().describe(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// A build is what is known of how the program was built.
type build struct {
	release, commit, date string
	modified              bool   // the commit with changes
	module                string // the module's version, of go install module@version
}

func current() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return of(build{release: release, commit: commit, date: date}, info)
}

// of returns b with what it lacks taken from what Go recorded.
func of(b build, info *debug.BuildInfo) build {
	if info.Main.Version != "(devel)" {
		b.module = info.Main.Version
	}
	if b.commit != "" {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.commit = s.Value
		case "vcs.time":
			b.date = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	return b
}

func (b build) name() string {
	switch {
	case b.release != "":
		return b.release
	case len(b.commit) >= 12 && b.modified:
		return b.commit[:12] + " with changes"
	case len(b.commit) >= 12:
		return b.commit[:12]
	case b.module != "":
		return b.module
	}
	return "devel"
}

func (b build) describe() string {
	parts := []string{b.name()}
	if b.release != "" && b.commit != "" {
		parts = append(parts, "commit "+b.commit)
	}
	if b.date != "" {
		parts[len(parts)-1] += " of " + b.date
	}
	return strings.Join(parts, ", ")
}
