// Package place compares files and folders by where they lie on disk: through symbolic
// links, relative paths and other spellings of one name.
package place

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qlora/option"
)

// Resolve returns the absolute path without symbolic links, as far as it exists.
func Resolve(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return filepath.Clean(path)
	}
	rest := ""
	for dir := abs; ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if target, err := os.Readlink(dir); err == nil { // a link to what does not exist yet
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(dir), target)
			}
			if target != dir {
				return filepath.Join(target, rest)
			}
		}
		if dir == filepath.Dir(dir) {
			return abs
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// Same reports whether two paths name one file or folder.
func Same(a, b string) bool {
	a, b = Resolve(a), Resolve(b)
	return a == b || sameFile(a, b)
}

// Within reports whether path is dir or lies below it.
func Within(path, dir string) bool {
	path, dir = Resolve(path), Resolve(dir)
	for at := path; ; at = filepath.Dir(at) {
		if at == dir || sameFile(at, dir) {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// An Input is a file or folder that is only read. An empty Path stands for none.
type Input struct {
	What string // "the model"
	Path string
}

// Inputs returns an input for each of the paths.
func Inputs(what string, paths ...string) []Input {
	all := make([]Input, len(paths))
	for i, path := range paths {
		all[i] = Input{what, path}
	}
	return all
}

// CheckCreate returns an [option.Error] if the folder dir, the value of an option, cannot be
// created or written to.
func CheckCreate(name, dir string) error {
	if dir == "" {
		return nil
	}
	at := filepath.Clean(dir)
	for {
		info, err := os.Stat(at)
		switch {
		case err == nil && !info.IsDir() && at == filepath.Clean(dir):
			return option.Errorf(name, dir, "that is a file, not a folder: choose another place")
		case err == nil && !info.IsDir():
			return option.Errorf(name, dir, "%s is a file, not a folder: choose another place", at)
		case err == nil && unix.Access(at, unix.W_OK|unix.X_OK) != nil:
			return option.Errorf(name, dir, "this user may not write to %s: choose another place", at)
		case err == nil || at == filepath.Dir(at):
			return nil
		}
		at = filepath.Dir(at)
	}
}

// NotCreated returns the [option.Error] of a folder that could not be created because of
// err.
func NotCreated(name, dir string, err error) error {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return option.Errorf(name, dir, "it cannot be created (%v): choose another place", err)
}

// Create creates the folder dir, the value of an option, and its parents. It returns those
// that did not exist, the innermost first.
func Create(name, dir string) (created []string, err error) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		created = append(created, at)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, NotCreated(name, dir, err)
	}
	return created, nil
}

// CheckOutput returns an [option.Error] if output, the value of an option, is one of the
// inputs or lies in one. given is how the user wrote it.
func CheckOutput(name, given, output string, inputs ...Input) error {
	if output == "" {
		return nil
	}
	for _, in := range inputs {
		switch {
		case in.Path == "" || !Within(output, in.Path):
		case Same(output, in.Path):
			return option.Errorf(name, given, "that is %s, which is only read: choose another place", in.What)
		default:
			return option.Errorf(name, given, "that lies in %s, %s, which is only read: choose another place", in.What, in.Path)
		}
	}
	return nil
}
