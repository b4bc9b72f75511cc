package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// RemoveDir removes the folder at path atomically: the folder is complete or absent.
func RemoveDir(path string) error {
	if err := removeDir(filepath.Clean(path)); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

func removeDir(path string) error {
	empty, err := begin(path, func(pattern string) (*os.File, error) {
		tmp, err := os.MkdirTemp(filepath.Dir(path), pattern)
		if err != nil {
			return nil, err
		}
		return os.Open(tmp)
	})
	if err != nil {
		return err
	}
	defer empty.Close()
	// A folder may replace an empty one, which os.Rename refuses.
	if err := unix.Rename(path, empty.Name()); err != nil {
		_ = os.Remove(empty.Name())
		return &os.PathError{Op: "rename", Path: path, Err: err}
	}
	if err := os.RemoveAll(empty.Name()); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// Clean removes what killed processes left in directory of any write or removal. Files
// of living processes stay. A missing directory is no error.
func Clean(directory string) {
	folder, err := os.Open(directory)
	if err != nil {
		return
	}
	defer folder.Close() // which unlocks
	if unix.Flock(int(folder.Fd()), unix.LOCK_EX) == nil {
		removeLeftovers(directory, isLeftover)
	}
}
