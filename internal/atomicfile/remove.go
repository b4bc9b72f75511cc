package atomicfile

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// RemoveDir removes the folder at path as ReplaceDir makes one: it is there whole,
// or its name is free.
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
	// A folder may take an empty one's place, which os.Rename does not let it.
	if err := unix.Rename(path, empty.Name()); err != nil {
		_ = os.Remove(empty.Name())
		return &os.PathError{Op: "rename", Path: path, Err: err}
	}
	if err := os.RemoveAll(empty.Name()); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// Clean removes what killed processes left in directory of anything that they wrote
// or removed. What a living process is at stays. A missing directory is clean.
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
