package atomicfile

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// partial stands in the names of what is not whole yet, before a number.
const partial = ".partial-"

// begin creates, with create, the file or folder that is to become path, and locks
// it until it is closed. Before that it removes what killed processes left of
// earlier writes to path. Both happen under a lock on the folder, so that nobody
// takes a file that is created but not yet locked for a leftover.
//
// Where the file system knows no locks nothing is removed: a leftover costs space,
// a wrongly removed file costs a run.
func begin(path string, create func(pattern string) (*os.File, error)) (*os.File, error) {
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer directory.Close() // which unlocks
	// A folder that ReplaceDir is filling is locked as a whole, for its filler alone:
	// waiting for that lock here would be waiting for ourselves.
	filling := strings.Contains(filepath.Base(directory.Name()), partial)
	locked := !filling && unix.Flock(int(directory.Fd()), unix.LOCK_EX) == nil
	prefix := "." + filepath.Base(path) + partial
	if locked {
		removeLeftovers(directory.Name(), func(name string) bool { return strings.HasPrefix(name, prefix) && isLeftover(name) })
	}
	file, err := create(prefix + "*")
	if err != nil {
		return nil, err
	}
	if locked {
		_ = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) // nobody else knows the name
	}
	return file, nil
}

// isLeftover reports whether a name is one that begin gives: a dot, the name of what
// is written, and a number.
func isLeftover(name string) bool {
	at := strings.LastIndex(name, partial)
	if at < 1 || name[0] != '.' {
		return false
	}
	number := name[at+len(partial):]
	return number != "" && strings.Trim(number, "0123456789") == ""
}

// removeLeftovers removes what has such a name in directory and is locked by
// nobody. It does what it can: a leftover is no reason to fail.
func removeLeftovers(directory string, such func(name string) bool) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !such(entry.Name()) {
			continue
		}
		path := filepath.Join(directory, entry.Name())
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(path)
		}
		_ = file.Close()
	}
}
