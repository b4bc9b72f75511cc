package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compile makes a shared library of a line of C.
func compile(t *testing.T, path, source string, options ...string) {
	t.Helper()
	command := exec.Command("cc", append([]string{"-shared", "-fPIC", "-x", "c", "-", "-x", "none", "-o", path}, options...)...)
	command.Stdin = strings.NewReader(source)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestCheckLinks(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	compile(t, path("libdriver.so"), "int driver(void) { return 0; }", "-Wl,-soname,libdriver.so")
	compile(t, path("good.so"), "int qlora_get_api(void) { return 0; }")
	compile(t, path("bad.so"), "int driver(void); int leak(void) { return 0; } int qlora_get_api(void) { return driver(); }", "-Wl,--no-as-needed", path("libdriver.so"))
	tests := []struct {
		name string
		want []string
	}{
		{"good.so", nil},
		{"bad.so", []string{path("bad.so") + " exports leak", path("bad.so") + " needs libdriver.so"}},
	}
	for _, test := range tests {
		findings, err := checkLinks(path(test.name))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(findings, test.want) {
			t.Errorf("%s: found %q, want %q", test.name, findings, test.want)
		}
	}
}

// TestRegisteredRefuses opens a library without the list of kernels, and one that does
// not exist.
func TestRegisteredRefuses(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.so")
	compile(t, other, "int another(void) { return 0; }")
	tests := []struct{ library, want string }{
		{other, "has no qlora_get_api"},
		{filepath.Join(dir, "none.so"), "No such file"},
	}
	for _, test := range tests {
		if _, err := registered(test.library); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.library, err, test.want)
		}
	}
}
