package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A version names a commit.
type version struct {
	name   string // v1.2.3 of a tag, else as Go names a commit: v0.0.0-20261130120000-0123456789ab
	commit string
	time   time.Time // of the commit; every file in a package has it
}

// versionOf returns the version of the commit that is checked out in a folder.
func versionOf(dir string) (version, error) {
	answer, err := git(dir, "log", "-1", "--format=%H %ct")
	if err != nil {
		return version{}, err
	}
	commit, seconds, _ := strings.Cut(answer, " ")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return version{}, fmt.Errorf("git log: %w", err)
	}
	tags, err := git(dir, "tag", "--points-at", "HEAD", "--list", "v[0-9]*", "--sort=-version:refname")
	if err != nil {
		return version{}, err
	}
	changed, err := git(dir, "status", "--porcelain")
	if err != nil {
		return version{}, err
	}
	return named(commit, time.Unix(at, 0).UTC(), strings.Fields(tags), changed != ""), nil
}

func named(commit string, at time.Time, tags []string, changed bool) version {
	v := version{name: "v0.0.0-" + at.Format("20060102150405") + "-" + commit[:12], commit: commit, time: at}
	if len(tags) > 0 {
		v.name = tags[0]
	}
	if changed {
		v.name += "+changes"
	}
	return v
}

// plain returns the version without the v, for the names of archives.
func (v version) plain() string { return strings.TrimPrefix(v.name, "v") }

// debian returns the version of a Debian package. One before a release, v1.2.3-rc.1, is
// older than the release there too.
func (v version) debian() string {
	return strings.ReplaceAll(strings.Replace(v.plain(), "-", "~", 1), "-", ".")
}

func git(dir string, arguments ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", dir}, arguments...)...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	answer, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", arguments[0], err, bytes.TrimSpace(problem.Bytes()))
	}
	return strings.TrimSpace(string(answer)), nil
}
