// Package atomicfile writes files and folders that appear whole or not at all.
//
// What is written lies beside its destination under a name that begins with a dot
// until its bytes are on the disk; then one rename puts it in place, and the folder
// that holds it is synced. A process that is killed at any moment, or a machine
// that loses its power, leaves the old content or the new, never something between.
//
// Whoever writes holds a lock on what it writes. What a killed process left behind
// is therefore recognised, as unlocked, and removed by the next write to the same
// path.
package atomicfile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write makes path hold what write writes, with the permission bits perm. Where it
// returns an error from write or from the disk, path is as it was and nothing lies
// beside it. A symbolic link at path is replaced, not followed.
func Write(path string, perm os.FileMode, write func(io.Writer) error) error {
	if err := writeFile(path, perm, write); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// WriteFile makes path hold data, as Write does.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	return Write(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func writeFile(path string, perm os.FileMode, write func(io.Writer) error) error {
	file, err := begin(path, func(pattern string) (*os.File, error) {
		return os.CreateTemp(filepath.Dir(path), pattern)
	})
	if err != nil {
		return err
	}
	defer file.Close()           // the lock goes with it; errors were seen by Sync
	defer os.Remove(file.Name()) // does nothing once the file has its final name
	buffered := bufio.NewWriterSize(file, 1<<18)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := file.Chmod(perm); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// syncPath waits until the file or the folder's entries at path are on the disk.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
