// Package sharedlib returns the folders that are searched for shared libraries before
// the system's: the executable's, and the module's during development.
package sharedlib

import (
	"os"
	"path/filepath"
)

// Executable returns the folder of the running program.
func Executable() (string, bool) {
	exe, err := os.Executable()
	return filepath.Dir(exe), err == nil
}

// Module returns the nearest folder above the working folder that has a go.mod.
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
