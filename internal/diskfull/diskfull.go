// Package diskfull tells the errors of a full disk from others, and says what was kept.
package diskfull

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

// Is reports whether err is that a disk, a quota or the limit of a file's size is used up.
func Is(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// An Error is a sentence about a full disk, in place of the errors that led to it.
type Error struct {
	text string
	err  error
}

func (e *Error) Error() string { return e.text }

func (e *Error) Unwrap() error { return e.err }

// Errorf returns an [Error] with that text about err, which stays in its chain.
func Errorf(err error, format string, args ...any) error {
	return &Error{fmt.Sprintf(format, args...), err}
}

// Folder returns the folder of the file that could not be written, or fallback if err does
// not name one.
func Folder(err error, fallback string) string {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return filepath.Dir(path.Path)
	}
	return fallback
}
