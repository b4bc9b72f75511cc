package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var commit = "0123456789abcdef0123456789abcdef01234567"

func TestVersion(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 34, 56, 0, time.UTC)
	for _, c := range []struct {
		tags                        []string
		changed                     bool
		wantName, wantPlain, debian string
	}{
		{nil, false, "v0.0.0-20261130123456-0123456789ab", "0.0.0-20261130123456-0123456789ab", "0.0.0~20261130123456.0123456789ab"},
		{nil, true, "v0.0.0-20261130123456-0123456789ab+changes", "0.0.0-20261130123456-0123456789ab+changes", "0.0.0~20261130123456.0123456789ab+changes"},
		{[]string{"v1.2.3", "v1.2.2"}, false, "v1.2.3", "1.2.3", "1.2.3"},
		{[]string{"v1.3.0-rc.1"}, false, "v1.3.0-rc.1", "1.3.0-rc.1", "1.3.0~rc.1"},
	} {
		v := named(commit, at, c.tags, c.changed)
		require.Equal(t, c.wantName, v.name)
		require.Equal(t, c.wantPlain, v.plain())
		require.Equal(t, c.debian, v.debian())
	}
	_, err := versionOf(t.TempDir())
	require.ErrorContains(t, err, "git log: ")
}

func TestVersionOfARepository(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	do := func(arguments ...string) {
		_, err := git(dir, append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, arguments...)...)
		require.NoError(t, err)
	}
	do("init", "-q")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("a"), 0o644))
	do("add", "file")
	do("commit", "-q", "-m", "one")
	v, err := versionOf(dir)
	require.NoError(t, err)
	require.Regexp(t, `^v0\.0\.0-20\d{12}-`+v.commit[:12]+`$`, v.name)
	do("tag", "v0.9.0")
	do("tag", "v0.10.0")
	v, err = versionOf(dir)
	require.NoError(t, err)
	require.Equal(t, "v0.10.0", v.name)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "new.go"), []byte("package a"), 0o644))
	v, err = versionOf(dir)
	require.NoError(t, err)
	require.Equal(t, "v0.10.0+changes", v.name, "a file that is not in the commit")
}

var files = tree{
	"bin/qlora":                         []byte("program"),
	"share/man/man1/qlora.1.gz":         []byte("page"),
	"share/zsh/site-functions/_qlora":   []byte("script"),
	"share/doc/qlora/docs/long-name.md": bytes.Repeat([]byte("text\n"), 1000),
}

var anyVersion = version{name: "v1.2.3", commit: commit, time: time.Unix(1796042047, 0).UTC()}

// TestArchive reads an archive back, and compares the bytes of two.
func TestArchive(t *testing.T) {
	var first, second bytes.Buffer
	require.NoError(t, writeArchive(&first, "qlora-1.2.3-linux-amd64", anyVersion, files))
	require.NoError(t, writeArchive(&second, "qlora-1.2.3-linux-amd64", anyVersion, files))
	require.Equal(t, first.Bytes(), second.Bytes(), "the same files give other bytes")

	text, err := gzip.NewReader(&first)
	require.NoError(t, err)
	require.True(t, text.ModTime.IsZero(), "gzip records a time: %v", text.ModTime)
	archive := tar.NewReader(text)
	var folders []string
	got := tree{}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Equal(t, anyVersion.time, h.ModTime.UTC(), h.Name)
		require.Zero(t, h.Uid+h.Gid, h.Name)
		name, below := strings.CutPrefix(h.Name, "qlora-1.2.3-linux-amd64/")
		require.True(t, below, h.Name)
		if h.Typeflag == tar.TypeDir {
			folders = append(folders, name)
			continue
		}
		got[name], err = io.ReadAll(archive)
		require.NoError(t, err)
		require.Equal(t, name == "bin/qlora", h.Mode == 0o755, "%s has mode %o", name, h.Mode)
	}
	require.Equal(t, files, got)
	require.Equal(t, []string{"", "bin/", "share/", "share/doc/", "share/doc/qlora/", "share/doc/qlora/docs/", "share/man/", "share/man/man1/", "share/zsh/", "share/zsh/site-functions/"}, folders)
}

// small returns a small program of this machine, in place of qlora.
func small(t *testing.T) []byte {
	path, err := exec.LookPath("true")
	require.NoError(t, err)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	return program
}

// TestDebianPackage has dpkg-deb read a package back, and compares the bytes of two.
func TestDebianPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	program := small(t)
	contents := tree{"bin/qlora": program, "share/zsh/site-functions/_qlora": []byte("script")}
	var packages [2][]byte
	var path string
	for i := range packages {
		dir := t.TempDir()
		file, missing, err := programPackage.write(dir, filepath.Join(dir, "stage"), anyVersion, runtime.GOARCH, contents)
		require.NoError(t, err)
		require.Empty(t, missing)
		path = file
		packages[i], err = os.ReadFile(file)
		require.NoError(t, err)
	}
	require.True(t, bytes.Equal(packages[0], packages[1]), "the same files give other bytes")
	require.Equal(t, "qlora_1.2.3_"+runtime.GOARCH+".deb", filepath.Base(path))

	control, err := exec.Command("dpkg-deb", "--field", path).CombinedOutput()
	require.NoError(t, err, string(control))
	require.Contains(t, string(control), "Package: qlora\nVersion: 1.2.3\nArchitecture: "+runtime.GOARCH+"\n")
	list, err := exec.Command("dpkg-deb", "--contents", path).CombinedOutput()
	require.NoError(t, err, string(list))
	require.Regexp(t, `-rwxr-xr-x root/root +\d+ 2026-11-30 \d\d:\d\d \./usr/bin/qlora\n`, string(list))
	require.Contains(t, string(list), "./usr/share/zsh/vendor-completions/_qlora\n")
}

func TestControl(t *testing.T) {
	program := small(t)
	p := debianPackage{name: "qlora-cuda", main: "lib/a.so", depends: []string{"qlora (= %s)"}, description: "kernels"}
	control, err := p.control(anyVersion, "amd64", tree{"lib/a.so": program})
	require.NoError(t, err)
	require.Regexp(t, `\nDepends: (libc6 \(>= 2\.\d+\), )?qlora \(= 1\.2\.3\)\n`, string(control))
	require.Regexp(t, `\nInstalled-Size: [1-9]\d+\n`, string(control))
	_, err = p.control(anyVersion, "amd64", tree{"lib/a.so": bytes.Repeat([]byte("text"), 100)})
	require.ErrorContains(t, err, "lib/a.so: bad magic number")
}

func TestOldestLibc(t *testing.T) {
	for _, c := range []struct {
		versions []string
		want     string
	}{
		{nil, "2.2"},
		{[]string{"GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.9", "GLIBCXX_3.4.21", "GLIBC_PRIVATE", ""}, "2.34"},
		{[]string{"GLIBC_2.2.5", "GLIBC_2.2"}, "2.2.5"},
	} {
		var symbols []elf.ImportedSymbol
		for _, version := range c.versions {
			symbols = append(symbols, elf.ImportedSymbol{Version: version})
		}
		require.Equal(t, c.want, oldestLibc(symbols), "%q", c.versions)
	}
}

func TestWrongTargets(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	t.Chdir("../../..")
	out := filepath.Join(t.TempDir(), "dist")
	require.ErrorContains(t, release(out, []string{"riscv64"}), "riscv64: packages are made for amd64 and arm64")
	require.ErrorContains(t, release(out, []string{other}), "name the C compiler for it, as "+other+"=PATH")
	require.NoDirExists(t, out)
	left, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Empty(t, left)
}
