// Package atomicfile writes files and folders atomically.
//
// Data is written next to its destination under a name that begins with a dot and synced
// to disk; one rename then puts it in place, and the parent folder is synced. A process
// killed at any moment, or a power failure, leaves the old content or the new, never a
// mixture.
//
// The writer locks what it writes. The next write to the same path therefore recognises
// the leftovers of a killed process, because they are unlocked, and removes them.
package atomicfile

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Write replaces the content of path by the output of write, with the permission bits
// perm. If it returns an error, path is unchanged and no temporary file remains. A
// symbolic link at path is replaced, not followed.
func Write(path string, perm os.FileMode, write func(io.Writer) error) error {
	if err := writeFile(path, perm, write); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// WriteFile writes data to path, as Write does.
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
	defer file.Close()           // releases the lock; Sync has reported errors
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

// syncPath waits until the file, or the folder's entries, at path are on the disk.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
