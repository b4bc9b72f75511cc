// Package sharedlib knows the folders that shared libraries are looked for in
// before the system's own: the executable's, and the module's for who works on it.
package sharedlib

import (
	"os"
	"path/filepath"
)

// Executable is the folder of the running program.
func Executable() (string, bool) {
	exe, err := os.Executable()
	return filepath.Dir(exe), err == nil
}

// Module is the nearest folder above the working folder that has a go.mod.
func Module() (string, bool) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return "", false
}
